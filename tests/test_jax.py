"""Training on the JAX backend, in a process of its own: on eight devices as on one, and on after an interruption."""

import pytest

from tests.jax_process import NEEDS_JAX, run_on_jax

PROGRAM = """
import sys, tempfile
import jax, keras, numpy as np, tfopt
from keras import distribution
from tfopt.kernels import fake_quantize, nudge_range

rng = np.random.default_rng(0)
x, y = rng.normal(size=(128, 16)).astype("float32"), rng.integers(0, 4, 128)
LOSS = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
assert len(jax.devices()) == 8


def net(quantized=False, scaled=False):
    keras.utils.set_random_seed(0)
    dense = [keras.layers.Dense(32, "relu", name="hidden"), keras.layers.Dense(4, name="head")]
    model = keras.Sequential([keras.Input((16,)), *dense])
    model = tfopt.quantize(model, x) if quantized else model
    optimizer = keras.optimizers.Adam(0.01)
    model.compile(keras.optimizers.LossScaleOptimizer(optimizer) if scaled else optimizer, LOSS)
    return model


def pruned():
    return tfopt.Pruning(tfopt.PolynomialDecay(0.5, 8, frequency=2), ".*")


def fit(model, callbacks):
    return model.fit(x, y, 32, epochs=3, shuffle=False, verbose=0, callbacks=callbacks).history


def data_parallel():
    return distribution.DataParallel()


def model_parallel():
    layout = distribution.LayoutMap(distribution.DeviceMesh((2, 4), ["batch", "model"]))
    layout[".*hidden.*kernel"] = (None, "model")
    return distribution.ModelParallel(layout_map=layout, batch_dim_name="batch")


def devices():
    for quantized in (False, True):
        results = []
        for way in (lambda: None, data_parallel, model_parallel):
            distribution.set_distribution(way())
            model = net(quantized)
            history = fit(model, [pruned()])
            kernels = [np.asarray(weight) for weight in model.trainable_weights if len(weight.shape) == 2]
            results.append((history["loss"], [kernel == 0 for kernel in kernels]))
        sharding = str(model.get_layer("hidden").kernel.value.sharding.spec)
        assert "model" in sharding, sharding  # the last one is really cut into parts
        for losses, zeros in results[1:]:
            np.testing.assert_allclose(losses, results[0][0], rtol=1e-5)
            for mine, alone in zip(zeros, results[0][1], strict=True):
                np.testing.assert_array_equal(mine, alone)


class Interrupted(keras.callbacks.Callback):
    def on_epoch_end(self, epoch, logs=None):
        if epoch == 1:
            raise KeyboardInterrupt


def resume():
    for scaled in (False, True):
        whole = net(scaled=scaled)
        fit(whole, [pruned()])
        for first in (True, False):
            with tempfile.TemporaryDirectory() as folder:
                for stop in ([Interrupted()], []):
                    backup = keras.callbacks.BackupAndRestore(folder, delete_checkpoint=False)
                    pruning, model = pruned(), net(scaled=scaled)
                    try:
                        fit(model, [*([pruning, backup] if first else [backup, pruning]), *stop])
                    except KeyboardInterrupt:
                        pruning.on_train_end()
            for one, other in zip(whole.weights, model.weights, strict=True):
                np.testing.assert_array_equal(other, one)


def rounding():
    # In training: the nearest code of those in the range, with the gradient of what is in the range.
    for values, non_negative in ((x, False), (np.abs(x), True)):
        low, high = (np.float32(end) for end in nudge_range(0.0 if non_negative else -1.0, 1.5))
        step = (high - low) / 255
        got, gradient = jax.vjp(lambda one: fake_quantize(one, low, high, 8, non_negative), values)
        np.testing.assert_allclose(got, np.round(np.clip(values, low, high) / step) * step, atol=1e-6)
        inside = (values >= low) & (values <= high)
        assert 0 < inside.mean() < 1
        np.testing.assert_array_equal(gradient(np.ones_like(values))[0], inside)


for part in sys.argv[1].split(" and "):
    {"devices": devices, "resume": resume, "rounding": rounding}[part]()
print("done")
"""


@pytest.mark.slow
@NEEDS_JAX
@pytest.mark.parametrize("part", ["devices", "resume and rounding"])
def test_jax(part: str) -> None:
    run_on_jax(PROGRAM, part, devices=8, options=("-W", "error::UserWarning"))
