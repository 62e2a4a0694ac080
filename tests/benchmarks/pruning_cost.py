"""What pruning costs: CPU time of a training step with and without the callback, and of one mask update.

    python -m tests.benchmarks.pruning_cost [--hundred_million]

Both ways train in one process, in turns, and the least disturbed round of each counts, as machines are noisy.
Steps that trace are not counted; one mask update and the end of an epoch are. Goal: a ratio of at most 1.02.
"""

import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import time
from typing import Any

import keras
import numpy as np
from absl import app, flags

from tfopt.pruning import PolynomialDecay, Pruning
from tfopt.pruning._backend import compiled
from tfopt.pruning._criteria import CRITERIA
from tfopt.pruning._group import Group, Member
from tfopt.pruning._layouts import layout_of
from tfopt.pruning._patterns import parse_pattern
from tfopt.pruning._scores import spread
from tfopt.pruning._select import choose_units

_HUNDRED_MILLION = flags.DEFINE_bool(
    "hundred_million", False, "Also time a mask update of 100 M weights; takes 3 GB of memory."
)

UPDATES = (
    ("unstructured", "layer", "magnitude"),
    ("unstructured", "global", "magnitude"),
    ("unstructured", "global", "lamp"),
    ("2:4", "layer", "magnitude"),
    ("1x4", "layer", "magnitude"),
    ("channels", "layer", "magnitude"),
)
ROUNDS = 3
WARM_UP = 10  # steps that trace, before the clock starts
STEPS = 100  # as many as lie between two mask updates by default


class StepTimer(keras.callbacks.Callback):
    """CPU seconds of the process per step, from the end of the warm-up to the end of the epoch."""

    def on_train_batch_begin(self, batch: int, logs: Any = None) -> None:
        if batch == WARM_UP:
            self.start = time.process_time()

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        self.seconds = (time.process_time() - self.start) / STEPS


def conv_net() -> keras.Model:
    """130,000 weights, most of the time in the convolutions, like most vision models."""
    layers = [keras.Input((16, 16, 16))]
    for filters in (32, 64, 128):
        layers += [
            keras.layers.Conv2D(
                filters, 3, strides=1 if filters == 32 else 2, padding="same", use_bias=False
            ),
            keras.layers.BatchNormalization(),
            keras.layers.ReLU(),
        ]
    return keras.Sequential([*layers, keras.layers.GlobalAveragePooling2D(), keras.layers.Dense(10)])


def dense_net() -> keras.Model:
    """270,000 weights that do one multiplication each per sample: the worst case."""
    layers = [keras.layers.Dense(256, activation="relu") for _ in range(3)]
    return keras.Sequential(
        [keras.Input((16, 16, 16)), keras.layers.GlobalMaxPooling2D(), *layers, keras.layers.Dense(256)]
    )


def seconds_per_step(model: keras.Model, x: np.ndarray, y: np.ndarray, callbacks: list[Any]) -> float:
    """Train one epoch, with new traces as Pruning makes them, and time the steps."""
    timer = StepTimer()
    model.make_train_function(force=True)
    model.fit(
        x, y, batch_size=len(x) // (WARM_UP + STEPS), verbose=0, shuffle=False, callbacks=[*callbacks, timer]
    )
    return timer.seconds


def step_row(name: str, build: Any, batch: int) -> str:
    """Time one net with and without pruning."""
    x = np.random.default_rng(0).normal(size=(batch * (WARM_UP + STEPS), 16, 16, 16)).astype("float32")
    y = np.zeros(len(x), "int32")
    model = build()
    model.compile("adam", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    plain, pruned = [], []
    for _ in range(ROUNDS):
        plain.append(seconds_per_step(model, x, y, []))
        begin = int(model.optimizer.iterations.numpy())
        schedule = PolynomialDecay(0.8, begin_step=begin, end_step=begin + STEPS)
        pruned.append(seconds_per_step(model, x, y, [Pruning(schedule)]))
    ratio = min(pruned) / min(plain)
    return f"{name:<18}{1000 * min(plain):10.2f}{1000 * min(pruned):10.2f}{ratio:9.3f}"


def update_row(size: int) -> str:
    """Time one mask update in each way, and the sort that magnitude does without."""
    kernel = keras.Variable(keras.random.normal((size // 1000, 1000), seed=0))
    layer = keras.layers.Dense(1000)
    times = []
    for pattern, scope, criterion in UPDATES:
        group = Group(parse_pattern(pattern), (Member(layer, kernel, layout_of(layer, kernel)),))
        times.append(_seconds(lambda g=group, s=scope, c=criterion: _mask(g, s, c)))
    times.append(_seconds(lambda: compiled(_sorted)(keras.ops.convert_to_tensor(kernel))))
    return f"{size:<14,}" + "".join(f"{1000 * seconds:12.1f}" for seconds in times)


def _seconds(function: Any) -> float:
    """CPU seconds of the second call; the first one compiles."""
    for _ in range(2):
        start = time.process_time()
        keras.ops.convert_to_numpy(function())
        seconds = time.process_time() - start
    return seconds


def _mask(group: Group, scope: str, criterion: str) -> Any:
    (units,) = choose_units((group,), CRITERIA[criterion], {}, 0.5, scope, (0.0, 0.98))
    return spread(group, group.kernels[0], units)


def _sorted(weight: Any) -> Any:
    return keras.ops.sort(keras.ops.reshape(weight, (-1,)))


def main(_: list[str]) -> None:
    """Print both tables."""
    print(f"CPU ms a step, best of {ROUNDS} times {STEPS} steps")
    print(f"{'net':<18}{'plain':>10}{'Pruning':>10}{'ratio':>9}")
    for name, build, batch in (("conv, batch 64", conv_net, 64), ("dense, batch 16", dense_net, 16)):
        print(step_row(name, build, batch), flush=True)
    print("\nCPU ms of one mask update, by pattern, scope and criterion")
    for index in range(3):
        titles = [row[index] for row in UPDATES] + ["(a sort)" if index == 0 else ""]
        print(f"{'weights' if index == 0 else '':<14}" + "".join(f"{title[:11]:>12}" for title in titles))
    for size in (1_000_000, 10_000_000, *([100_000_000] if _HUNDRED_MILLION.value else [])):
        print(update_row(size), flush=True)


if __name__ == "__main__":
    app.run(main)
