"""What people reported, re-enacted in a few lines each, with the right value asserted."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

import tfopt

X = np.random.default_rng(0).normal(size=(40, 4)).astype("float32")
LABELS = np.zeros(40)


def _parts(labels: bool = False):
    return [(X[i : i + 16], LABELS[i : i + 16]) if labels else X[i : i + 16] for i in (0, 16, 32)]


class Parts(keras.utils.PyDataset):
    def __len__(self):
        return 3

    def __getitem__(self, index):
        return _parts(labels=True)[index]


# --- Calibration in any form -----------------------------------------------------------------------------------------

# What the tutorials of TFLite's converter write, and what `fit` takes.
ONE_INPUT = {
    "the tutorials' function": lambda: lambda: ([x[None]] for x in X),
    "a generator": lambda: ([x[None]] for x in X),
    "a function of arrays": lambda: lambda: (x[None] for x in X),
    "with a signature": lambda: lambda: (("serving_default", {"x": x[None]}) for x in X),
    "a list of batches": lambda: _parts(),
    "a list of batches and labels": lambda: _parts(labels=True),
    "a list of lists": lambda: [[part] for part in _parts()],
    "a list of dicts": lambda: [{"x": part} for part in _parts()],
    "a list of samples": lambda: list(X),
    "a dataset": lambda: tf.data.Dataset.from_tensor_slices(X).batch(16),
    "a dataset with labels": lambda: tf.data.Dataset.from_tensor_slices((X, LABELS)).batch(16),
    "a dataset of dicts": lambda: tf.data.Dataset.from_tensor_slices({"x": X, "id": LABELS}).batch(16),
    "a PyDataset": Parts,
}


@pytest.mark.parametrize("form", ONE_INPUT)
def test_calibration_takes_every_form(form):
    inputs = keras.Input((4,), name="x")
    q = tfopt.quantize(keras.Model(inputs, layers.ReLU()(inputs)), ONE_INPUT[form]())
    reached = q.get_layer("x_quantize").get_weights()[:2]
    np.testing.assert_allclose(np.ravel(reached)[:2], [X.min(), X.max()], rtol=1e-6)


TWO_INPUTS = {
    "the tutorials' function": lambda: lambda: ([x[None], 9 * x[None, :3]] for x in X),
    "dicts in another order": lambda: {"b": 9 * X[:, :3], "a": X},
    "a list of dicts": lambda: [{"b": 9 * part[:, :3], "a": part} for part in _parts()],
    "a list of lists": lambda: [[part, 9 * part[:, :3]] for part in _parts()],
}


@pytest.mark.parametrize("form", TWO_INPUTS)
def test_calibration_of_two_inputs_takes_every_form(form):
    a, b = keras.Input((4,), name="a"), keras.Input((3,), name="b")
    q = tfopt.quantize(keras.Model([a, b], [layers.ReLU()(a), layers.ReLU()(b)]), TWO_INPUTS[form]())
    wide = q.get_layer("b_quantize").get_weights()[0]
    assert np.ravel(wide)[0] == pytest.approx(9 * X[:, :3].min())


def test_a_dict_with_a_wrong_key_is_named():
    a, b = keras.Input((4,), name="a"), keras.Input((3,), name="b")
    model = keras.Model({"a": a, "b": b}, [layers.ReLU()(a), layers.ReLU()(b)])
    with pytest.raises(
        ValueError, match=r"keys \['a', 'b'\].* Got the keys \['a', 'c'\] instead, without \['b'\]"
    ):
        tfopt.quantize(model, {"a": X, "c": X[:, :3]})


@pytest.mark.parametrize(("percentile", "largest"), [(99.99, 100.0), (99.0, 98.0), (90.0, 80.0)])
def test_the_share_that_a_percentile_cuts_is_an_argument(percentile, largest):
    inputs = keras.Input((1001,), name="x")
    config = tfopt.QuantConfig(ranges=tfopt.Ranges(method="percentile", percentile=percentile))
    q = tfopt.quantize(
        keras.Model(inputs, layers.ReLU()(inputs)), np.linspace(-100.0, 100.0, 1001)[None], config
    )
    assert np.ravel(q.get_layer("x_quantize").get_weights()[0])[1] == pytest.approx(largest, abs=0.3)
