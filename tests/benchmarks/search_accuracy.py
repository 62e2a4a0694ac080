"""What searches that train bring beside those that do not: a small residual net on scikit-learn's digits.

    python -m tests.benchmarks.search_accuracy --what=gates      # `learn` against the knapsack of `search`
    python -m tests.benchmarks.search_accuracy --what=supernet   # `Supernet` against training each network alone

The net is trained first. `gates`: bits of each kernel at the same average, by `search` and then `--epochs` of QAT, and
by `learn` in half of these and QAT in the other half. `supernet`: `--epochs` of a supernet, from which a subnet is cut
for each budget; beside it the same architecture from random weights, `make_student` and `shrink` at the same budget,
each with as many steps of its own and the net as the teacher. Percent of 497 test images, the mean over seeds.
"""

import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

from collections.abc import Callable

import keras
import numpy as np
from absl import app, flags
from sklearn.datasets import load_digits

import tfopt
from tests.benchmarks.cifar10 import Data, Minutes, accuracy
from tfopt._report import Table
from tfopt.budgets import Supernet, apply_point, learn
from tfopt.shrinking import count_macs, update_batch_norm

_WHAT = flags.DEFINE_enum("what", "gates", ["gates", "supernet"], "Which experiment.")
_SEEDS = flags.DEFINE_integer("seeds", 3, "How many.", lower_bound=1)
_EPOCHS = flags.DEFINE_integer("epochs", 12, "Of 1,300 images, for each contender.", lower_bound=2)
_BITS = flags.DEFINE_multi_float("bits", [3.0, 2.5], "Average bits of a weight, for gates.")
_PARTS = flags.DEFINE_multi_float("macs", [0.1], "Parts of the multiply-accumulates, for supernet.")

LAYERS = keras.layers
_LOSS = "sparse_categorical_crossentropy"


def digits() -> tuple[Data, Data]:
    """Images of 8 by 8, in random order, from 0 to 1."""
    x, y = load_digits(return_X_y=True)
    order = np.random.default_rng(0).permutation(len(x))
    x, y = x[order].reshape(-1, 8, 8, 1).astype("float32") / 16, y[order]
    return (x[:1300], y[:1300]), (x[1300:], y[1300:])


def net() -> keras.Model:
    """Two residual blocks, with kernels of 5 places."""
    inputs = x = keras.Input((8, 8, 1))
    for filters, strides in ((12, 1), (24, 2)):
        x = LAYERS.Conv2D(filters, 5, strides=strides, padding="same", use_bias=False)(x)
        x = y = LAYERS.ReLU()(LAYERS.BatchNormalization()(x))
        y = LAYERS.Conv2D(filters, 3, padding="same", use_bias=False)(y)
        y = LAYERS.ReLU()(LAYERS.BatchNormalization()(y))
        y = LAYERS.Conv2D(filters, 5, padding="same", use_bias=False)(y)
        x = LAYERS.ReLU()(LAYERS.Add()([x, LAYERS.BatchNormalization()(y)]))
    x = LAYERS.Dense(10, activation="softmax")(LAYERS.GlobalAveragePooling2D()(x))
    return keras.Model(inputs, x, name="digits")


def trained(model: keras.Model, data: Data, epochs: int, rate: float = 3e-3) -> keras.Model:
    """The model after Adam on a cosine; its batch norms are measured again, as so few steps leave them behind."""
    steps = epochs * -(-len(data[0]) // 64)
    schedule = keras.optimizers.schedules.CosineDecay(rate, steps)
    model.compile(keras.optimizers.Adam(schedule), _LOSS)
    model.fit(*data, batch_size=64, epochs=epochs, verbose=0)
    update_batch_norm(model, data[0])
    return model


def taught(student: keras.Model, teacher: keras.Model, data: Data) -> keras.Model:
    """The student after `--epochs` with a teacher."""
    distiller = tfopt.Distiller(student, teacher, [tfopt.SoftTargets(temperature=1.0)])
    trained(distiller, data, _EPOCHS.value)
    return student


def gates(model: keras.Model, data: Data, test: Data, seed: int) -> dict[str, float]:
    """Percent of each contender, by average bits."""
    found: dict[str, float] = {"float": accuracy(model, test)}
    space = {"weight_bits": (8, 6, 4, 3, 2), "sparsity": (0.0,)}
    for bits in _BITS.value:
        point = tfopt.search(model, data, {"mean_bits": bits}, space).best
        q = apply_point(model, point, data[0])
        found[f"{bits} bits, search"] = accuracy(q, test)
        found[f"{bits} bits, search, QAT"] = accuracy(trained(q, data, _EPOCHS.value, 1e-3), test)
        half = _EPOCHS.value // 2
        learned = learn(model, data, {"mean_bits": bits}, space, epochs=half, seed=seed)
        q = apply_point(learned.model, learned.point, data[0])
        found[f"{bits} bits, learn"] = accuracy(q, test)
        found[f"{bits} bits, learn, QAT"] = accuracy(trained(q, data, _EPOCHS.value - half, 1e-3), test)
        for name, one in (("search", point), ("learn", learned.point)):
            chosen = " ".join(str(layer.bits) for layer in one.layers)
            print(f"{name}: {one.costs['mean_bits']:.3f} bits on average: {chosen}", flush=True)
    return found


def student_of(model: keras.Model, most: float) -> keras.Model:
    """The widest student within a budget of multiply-accumulates."""
    for width in np.arange(1.0, 0.05, -0.05):
        student = tfopt.make_student(model, width=float(width), divisor=4)
        if count_macs(student) <= most:
            return student
    raise ValueError(f"No student has {most:,.0f} multiply-accumulates. Raise --macs.")


def supernet(model: keras.Model, data: Data, test: Data, seed: int) -> dict[str, float]:
    """Percent of each contender, by part of the multiply-accumulates."""
    found = {"float": accuracy(model, test)}
    minutes = Minutes()
    holder = Supernet(model, seed=seed)
    trained(holder, data, _EPOCHS.value)
    found["the supernet's whole model"] = accuracy(holder, test)
    print(f"training took {minutes} minutes", flush=True)
    full = count_macs(model)
    for part in _PARTS.value:
        minutes, budget = Minutes(), part * full
        best = holder.search(data, {"macs": budget}, samples=256).best
        print(f"search took {minutes} minutes: {best.costs['macs']:,} of {full:,}, {best.shape}", flush=True)
        small = holder.subnet(best.shape, data[0])
        found[f"{part:.0%}, subnet"] = accuracy(small, test)
        fresh = keras.models.clone_model(small)
        found[f"{part:.0%}, subnet from scratch"] = accuracy(taught(fresh, model, data), test)
        found[f"{part:.0%}, subnet trained on"] = accuracy(taught(small, model, data), test)
        student = student_of(model, budget)
        found[f"{part:.0%}, make_student"] = accuracy(taught(student, model, data), test)
        narrow = tfopt.shrink(model, macs=part, divisor=4)
        found[f"{part:.0%}, shrink"] = accuracy(taught(narrow, model, data), test)
    return found


def main(_: list[str]) -> None:
    """Every seed in turn, and the table."""
    data, test = digits()
    run: Callable[..., dict[str, float]] = {"gates": gates, "supernet": supernet}[_WHAT.value]
    found: dict[str, list[float]] = {}
    for seed in range(_SEEDS.value):
        keras.utils.set_random_seed(seed)
        minutes = Minutes()
        model = trained(net(), data, 12)
        for name, value in run(model, data, test, seed).items():
            found.setdefault(name, []).append(value)
            print(f"seed {seed}: {name}: {value:.2f} %", flush=True)
        print(f"seed {seed}: {minutes} CPU minutes", flush=True)
    rows = tuple(
        (name, f"{np.mean(values):.2f} %", ", ".join(f"{value:.2f}" for value in values))
        for name, values in found.items()
    )
    note = f"{len(test[1])} test images, {_SEEDS.value} seeds, {_EPOCHS.value} epochs."
    print(Table(f"Digits, {_WHAT.value}", ("network", "mean", "seeds"), rows, (note,)))


if __name__ == "__main__":
    app.run(main)
