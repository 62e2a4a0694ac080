"""`predict` computes grids once, outside of its trace: it must notice whatever moves a weight."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

import tfopt
from tests.models import samples_for, trained_like
from tests.strategies import two_devices


def network():
    inputs = keras.Input((8, 8, 2))
    x = layers.ReLU()(layers.BatchNormalization(name="norm")(layers.Conv2D(4, 3, name="conv")(inputs)))
    x = layers.Add()([x, layers.DepthwiseConv2D(3, padding="same")(x)])
    x = layers.Concatenate()([x, layers.BatchNormalization()(layers.AveragePooling2D(1)(x))])
    return keras.Model(inputs, layers.Dense(3, activation="softmax", name="dense")(layers.Flatten()(x)))


def quantized():
    model = trained_like(network())
    return tfopt.quantize(model, samples_for(model, 16))


def fit(q, x, path):
    q.compile("sgd", "sparse_categorical_crossentropy", jit_compile=q.jit_compile)
    q.fit(x, np.zeros(len(x)), verbose=0)


def fit_without_compiling(q, x, path):
    q.fit(x, np.ones(len(x)), verbose=0)


def load_weights(q, x, path):
    before = q.get_weights()
    q.set_weights([1.25 * weight for weight in before])
    q.save_weights(path / "q.weights.h5")
    q.set_weights(before)
    q.load_weights(path / "q.weights.h5")


MOVES = {
    "fit": fit,
    "fit without compiling": fit_without_compiling,
    "set_weights": lambda q, x, path: q.set_weights([0.75 * weight for weight in q.get_weights()]),
    "load_weights": load_weights,
    "kernel": lambda q, x, path: q.get_layer("conv").kernel.assign(q.get_layer("conv").kernel * 1.5),
    "bias": lambda q, x, path: q.get_layer("dense").bias.assign([0.5, -0.5, 0.25]),
    "batch norm": lambda q, x, path: q.get_layer("norm").moving_mean.assign(np.full(4, 0.3)),
    "range": lambda q, x, path: q.layers[1].set_range(np.array([-1.0]), np.array([2.0])),
}


@pytest.mark.parametrize("jit_compile", [False, pytest.param(True, marks=pytest.mark.slow)])
@pytest.mark.parametrize("move", MOVES)
def test_predict_follows_the_weights(move, jit_compile, tmp_path):
    q = quantized()
    x = samples_for(q, 16)
    q.compile("sgd", "sparse_categorical_crossentropy", jit_compile=jit_compile)
    before = q.predict(x, verbose=0)
    MOVES[move](q, x, tmp_path)
    after = q.predict(x, verbose=0)
    assert not np.array_equal(before, after)
    np.testing.assert_array_equal(after, np.asarray(q(x, training=False)))
    np.testing.assert_array_equal(q.predict(x[:3], verbose=0), after[:3])
    np.testing.assert_array_equal(q.predict_on_batch(x), after)


def test_a_moved_weight_needs_no_new_trace(monkeypatch):
    q = quantized()
    x = samples_for(q, 16)
    q.predict(x, verbose=0)
    traced = q.predict_function
    monkeypatch.setattr(type(q), "call", lambda self, *args, **kwargs: pytest.fail("traced again"))
    q.get_layer("conv").kernel.assign(q.get_layer("conv").kernel * 1.5)
    q.predict(x, verbose=0)
    assert q.predict_function is traced


@pytest.mark.slow
def test_predict_on_several_devices_follows_the_weights():
    with two_devices().scope():
        q = quantized()
    x = samples_for(q, 16)
    q.predict(x, verbose=0)
    q.get_layer("conv").kernel.assign(q.get_layer("conv").kernel * 1.5)
    np.testing.assert_array_equal(q.predict(x, verbose=0), np.asarray(q(x, training=False)))


@pytest.mark.slow
def test_a_saved_model_has_no_held_numbers(tmp_path):
    q = quantized()
    x = samples_for(q, 4)
    expected = q.predict(x, verbose=0)
    q.export(tmp_path / "saved", verbose=False)
    saved = tf.saved_model.load(str(tmp_path / "saved"))
    np.testing.assert_allclose(saved.serve(x), expected, atol=1e-6)
    assert len(saved.variables) <= len(q.weights)
