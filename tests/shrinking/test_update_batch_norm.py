"""Statistics after `update_batch_norm` are exact averages over the data."""

import keras
import numpy as np
import pytest
from keras import layers

import tfopt
from tests.models import MODELS, samples_for, trained_like
from tfopt.shrinking import update_batch_norm


def net() -> keras.Model:
    return keras.Sequential(
        [
            keras.Input((4,)),
            layers.BatchNormalization(name="first"),
            layers.Dropout(0.5),
            layers.Dense(3),
            layers.BatchNormalization(name="second"),
        ]
    )


def test_statistics_are_averages_weighted_by_batch_size():
    model = trained_like(net())
    x = np.random.default_rng(0).normal(2.0, 3.0, (40, 4)).astype("float32")
    assert update_batch_norm(model, x, batch_size=32) == 2
    parts = [x[:32].astype("float64"), x[32:].astype("float64")]
    norm = model.get_layer("first")
    np.testing.assert_allclose(norm.moving_mean, x.mean(0), rtol=1e-5)
    variance = (32 * parts[0].var(0) + 8 * parts[1].var(0)) / 40
    np.testing.assert_allclose(norm.moving_variance, variance, rtol=1e-4)
    # Behind the dropout too, which is off while statistics are taken: normalized outputs have mean beta.
    outputs = [np.asarray(model.get_layer("second").moving_mean)]
    update_batch_norm(model, x, batch_size=32)
    np.testing.assert_allclose(model.get_layer("second").moving_mean, outputs[0], rtol=1e-6)


def test_steps_dataset_and_settings_are_respected():
    import tensorflow as tf

    model = net()
    x = np.arange(48.0, dtype="float32").reshape(12, 4)
    data = tf.data.Dataset.from_tensor_slices((x, x)).batch(4)
    update_batch_norm(model, data, steps=2)
    np.testing.assert_allclose(model.get_layer("first").moving_mean, x[:8].mean(0), rtol=1e-6)
    assert model.get_layer("first").momentum == 0.99 and model.layers[1].rate == 0.5
    with pytest.raises(ValueError, match="'steps' argument must be"):
        update_batch_norm(model, data, steps=0)


def test_frozen_norms_stay():
    model = net()
    model.get_layer("first").trainable = False
    assert update_batch_norm(model, np.ones((4, 4), "float32")) == 1
    np.testing.assert_array_equal(model.get_layer("first").moving_mean, np.zeros(4))


@pytest.mark.parametrize("name", ["subclassed", "residual", "siamese"])
def test_any_form_of_model(name):
    model = trained_like(MODELS[name]())
    update_batch_norm(model, samples_for(model, 8))


def test_a_quantized_model_keeps_its_ranges():
    model = trained_like(MODELS["residual"]())
    x = samples_for(model, 32)
    quantized = tfopt.quantize(model, x)
    ranges = [(w, np.array(w)) for w in quantized.weights if w.name == "observed"]
    means = [(w, np.array(w)) for w in quantized.weights if w.name == "moving_mean"]
    assert update_batch_norm(quantized, 2.0 * x) == 2
    assert ranges
    for weight, before in ranges:
        np.testing.assert_array_equal(weight, before)
    assert any(not np.allclose(weight, before) for weight, before in means)
