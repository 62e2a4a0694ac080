"""Keras 2 models become Keras 3 models; in processes of their own, for tfmot changes the environment of one."""

import subprocess
import sys

import pytest

PROGRAM = """
import warnings; warnings.simplefilter("ignore")
import keras, numpy as np, tfopt
from tfopt.legacy import from_keras2
import tensorflow_model_optimization as tfmot, tf_keras
inputs = tf_keras.Input((8, 8, 1))
x = tf_keras.layers.Conv2D(4, 3, use_bias=False)(inputs)
x = tf_keras.layers.ReLU()(tf_keras.layers.BatchNormalization()(x))
model = tf_keras.Model(inputs, tf_keras.layers.Dense(3, activation="softmax")(tf_keras.layers.Flatten()(x)))
schedule = tfmot.sparsity.keras.ConstantSparsity(0.5, begin_step=0, frequency=1)
pruned = tfmot.sparsity.keras.prune_low_magnitude(model, pruning_schedule=schedule)
pruned.compile("adam", "sparse_categorical_crossentropy")
data = np.random.default_rng(0).normal(size=(32, 8, 8, 1)).astype("float32")
pruned.fit(data, np.zeros(32), verbose=0, callbacks=[tfmot.sparsity.keras.UpdatePruningStep()])
converted = from_keras2(pruned)
assert isinstance(converted, keras.Model)
kernels = [np.asarray(w) for w in converted.weights if w.name == "kernel"]
assert [round(float((k == 0).mean()), 2) for k in kernels] == [0.5, 0.5], kernels
np.testing.assert_allclose(converted.predict(data, verbose=0), pruned.predict(data, verbose=0), atol=1e-5)
q = tfopt.quantize(converted, calibration=data)
print("converted", len(q.layers))
try:
    from_keras2(tfmot.quantization.keras.quantize_model(model))
except TypeError as error:
    print(error)
"""


@pytest.mark.slow
def test_a_pruned_keras_2_model():
    result = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True)
    assert result.returncode == 0, result.stderr[-2000:]
    assert "converted" in result.stdout
    assert "must not be a quantization-aware model of tfmot" in result.stdout
