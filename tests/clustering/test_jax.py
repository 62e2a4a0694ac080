"""Clustering on the JAX backend, in a process of its own: alone, and around and inside the masks of Pruning."""

from pathlib import Path

import pytest

from tests.jax_process import NEEDS_JAX, run_on_jax

PROGRAM = """
import sys
import keras, numpy as np, tfopt

assert keras.backend.backend() == "jax"
rng = np.random.default_rng(0)
y = rng.integers(0, 4, 256)
x = (rng.normal(size=(4, 8))[y] + 0.5 * rng.normal(size=(256, 8))).astype("float32")


def values_of(model):
    return [len(np.unique(keras.ops.convert_to_numpy(w))) for w in model.trainable_weights if len(w.shape) > 1]


for options in ({}, {"gradient": "centroid"}):
    for places in ([0], [0, 1], [1, 0]):
        keras.utils.set_random_seed(0)
        hidden = keras.layers.Dense(16, "relu", name="hidden")
        model = keras.Sequential([keras.Input((8,)), hidden, keras.layers.Dense(4, "softmax", name="head")])
        model.compile(keras.optimizers.Adam(0.01), "sparse_categorical_crossentropy")
        schedule = tfopt.PolynomialDecay(0.5, end_step=8, frequency=2)
        both = [tfopt.Clustering(8, **options), tfopt.Pruning(schedule, where=".*")]
        saved = keras.callbacks.ModelCheckpoint(sys.argv[1] + "/model.keras")
        callbacks = [*(both[place] for place in places), saved]
        logs = model.fit(x, y, batch_size=32, epochs=3, verbose=0, callbacks=callbacks).history
        assert logs["loss"][-1] < logs["loss"][0]
        loaded = keras.models.load_model(sys.argv[1] + "/model.keras")
        for one in (model, loaded):
            assert 2 < min(values_of(one)) and max(values_of(one)) <= 8
        if len(places) == 2:
            assert 0.5 <= logs["sparsity"][-1] < 0.75
        plain = keras.optimizers.Adam(0.01)
        plain.build(model.trainable_variables)
        assert len(model.optimizer.variables) == len(loaded.optimizer.variables) == len(plain.variables)
        assert all(weight.constraint is None for weight in model.trainable_weights)
print("done")
"""


@pytest.mark.slow
@NEEDS_JAX
def test_clustering_on_jax(tmp_path: Path) -> None:
    run_on_jax(PROGRAM, tmp_path)
