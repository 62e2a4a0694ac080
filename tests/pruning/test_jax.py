"""Pruning on the JAX backend, in a process of its own, compiled and on two devices. What reads data adds a row."""

import pytest

from tests.jax_process import NEEDS_JAX, run_on_jax

PROGRAM = """
import sys
import jax, keras, numpy as np, tfopt.pruning as tp
from tfopt.pruning._find_groups import find_groups
from tfopt.pruning._statistics import Samples, collect

assert keras.backend.backend() == "jax" and len(jax.devices()) == 2
if sys.argv[1] == "two":
    keras.distribution.set_distribution(keras.distribution.DataParallel())
keras.utils.set_random_seed(0)
rng = np.random.default_rng(0)
x, y = rng.normal(size=(128, 8, 8, 1)).astype("float32"), rng.integers(0, 4, 128)
LOSS = keras.losses.SparseCategoricalCrossentropy(from_logits=True)


def net(**options):
    layers = keras.layers
    model = keras.Sequential([
        keras.Input((8, 8, 1)),
        layers.Conv2D(16, 3, name="conv"),
        layers.BatchNormalization(name="norm"),
        layers.ReLU(),
        layers.Flatten(),
        layers.Dense(16, "relu", name="dense"),
        layers.Dense(4, name="head"),
    ])
    model.compile(keras.optimizers.Adam(0.01, **options), LOSS, jit_compile=True)
    return model


def fit(pruning, others=(), **options):
    model = net(**options)
    model.fit(x, y, batch_size=32, epochs=3, verbose=0, callbacks=[*others, pruning], validation_data=(x, y))
    return model


# The gradient of the model's own loss, against differences.
model = net()
groups, _ = find_groups(model, "dense", "unstructured")
member = groups[0].kernels[0]
kernel = member.variable
found = collect(["gradient", "squared_gradient", "input_norm"], groups, model, Samples((x, y)), 0)[id(member)]
gradient = np.asarray(found["gradient"])[0]
metrics = [float(np.sum(np.asarray(v))) for m in model.metrics for v in m.variables]
assert not any(metrics), metrics  # nothing is left of the loss in the model's state
for place in np.argsort(-np.abs(gradient).ravel())[:3]:
    losses = []
    for step in (-1e-2, 1e-2):
        value = np.array(kernel)
        old = value.copy()
        value.ravel()[place] += step
        kernel.assign(value)
        losses.append(float(LOSS(y, model(x, training=False))))
        kernel.assign(old)
    slope = (losses[1] - losses[0]) / 2e-2
    assert abs(slope - gradient.ravel()[place]) < 0.02 * abs(slope), (slope, gradient.ravel()[place])

schedule = tp.PolynomialDecay(0.5, 8, frequency=4)
ROWS = {
    "taylor": dict(criterion="taylor", data=(x, y)),
    "fisher": dict(criterion="fisher", data=(x, y), scope="global"),
    "wanda": dict(criterion="wanda", data=(x, y)),
    "lamp": dict(criterion="lamp", scope="global"),
    "channels": dict(criterion="taylor", data=(x, y), pattern="channels"),
    "ema": dict(options=dict(use_ema=True), others=[keras.callbacks.SwapEMAWeights(swap_on_epoch=True)]),
}
for name, row in ROWS.items():
    options, others = row.pop("options", {}), row.pop("others", ())
    pruning = tp.Pruning(schedule, "conv|dense", **row)
    model = fit(pruning, others, **options)
    zeros = sum(int(np.sum(np.asarray(model.get_layer(n).kernel) == 0)) for n in ("conv", "dense"))
    size = sum(model.get_layer(n).kernel.numpy().size for n in ("conv", "dense"))
    assert abs(zeros / size - 0.5) < (0.02 if name == "channels" else 1e-4), (name, zeros, size)

for regrowth in (tp.RigL(10, 0.4, frequency=3), tp.SET(10, 0.4, frequency=3), tp.SRSTE(10, frequency=3)):
    pruning = tp.Pruning(tp.ConstantSparsity(0.75), "dense", regrowth=regrowth, data=(x, y))
    model = net()
    history = model.fit(x, y, batch_size=32, epochs=3, verbose=0, callbacks=[pruning]).history
    assert history["mask_change"][1] > 0, history
    assert 0.75 <= pruning.report.sparsity < 0.8, pruning.report.sparsity
print("done")
"""


@pytest.mark.slow
@NEEDS_JAX
@pytest.mark.parametrize("devices", ["one", "two"])
def test_pruning_on_jax(devices: str) -> None:
    run_on_jax(PROGRAM, devices, devices=2)
