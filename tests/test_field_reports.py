"""What people reported, re-enacted in a few lines each, with the right value asserted."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

import tfopt
from tests import field_models
from tests.conversion.rows import quick
from tests.field_models import BYTES, exported, is_exact

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


# --- Inputs ----------------------------------------------------------------------------------------------------------


INTEGERS = ("bytes rescaled", "bytes normalized", "bytes convolved", "bytes cast", "bytes reshaped", "int32")


@pytest.mark.parametrize("name", quick(INTEGERS, ("bytes rescaled", "int32")))
def test_whole_numbers_are_an_input_like_others(name, tmp_path):
    model, x = field_models.reported(name)
    q = tfopt.quantize(model, x, strict=True)
    path, report = exported(q, tmp_path, input_dtype="uint8")
    (tensor,) = tfopt.runtimes.TFLiteFile.read(path).inputs
    assert not report.float_operators
    assert is_exact(q, path, x)
    if x.dtype == "uint8":  # the file takes the bytes as they are
        assert (tensor.dtype, tensor.scales, tensor.zero_points) == ("uint8", (1.0,), (0,))


def test_an_index_that_is_an_amount_too_gets_a_cast(tmp_path):
    model, x = field_models.reported("an index that is an amount")
    q = tfopt.quantize(model, x)
    path, report = exported(q, tmp_path)
    assert report.inputs == ("int32",)
    assert is_exact(q, path, x)


@pytest.mark.parametrize("names", [field_models.KEYWORDS, {"zeta": 4, "alpha": 3}], ids=["keywords", "order"])
def test_inputs_have_any_name_and_order(names, tmp_path):
    x = field_models.rows_for(**names)
    q = tfopt.quantize(field_models.named(**names), dict(reversed(x.items())))
    path, report = exported(q, tmp_path)
    assert set(report.input_names) == set(names)
    assert is_exact(q, path, x)


def test_open_sizes_stay_open(tmp_path):
    inputs = keras.Input((None, None, 3), name="image")
    q = tfopt.quantize(keras.Model(inputs, field_models.head(inputs)), BYTES / 255)
    path, report = exported(q, tmp_path)
    assert report.input_shapes == ((1, -1, -1, 3),)
    assert is_exact(q, path, BYTES / 255)
    assert is_exact(q, path, np.tile(BYTES / 255, (1, 2, 1, 1)))


@pytest.mark.slow
def test_a_net_that_resizes_keeps_its_open_sizes(tmp_path):
    q = tfopt.quantize(field_models.open_unet(), BYTES / 255)
    path, report = exported(q, tmp_path)
    assert report.output_shapes == ((1, -1, -1, 2),)
    assert "rounds otherwise behind a size that is computed" in str(report).replace("\n", " ")
    path, _ = exported(q, tmp_path, shapes={"image": (8, 8, 3)})
    assert is_exact(q, path, BYTES / 255)


def test_an_open_size_that_would_be_lost_is_named(tmp_path):
    inputs = keras.Input((None, 4, 3), name="x")
    model = keras.Model(inputs, layers.TimeDistributed(layers.Conv1D(2, 3))(inputs))
    with pytest.raises(
        ValueError, match=r"dimensions \[1\] are open in the model.* Pass shapes=\{'x': \(\.\.\., 4, 3"
    ):
        exported(tfopt.quantize(model, np.ones((2, 5, 4, 3))), tmp_path)


def test_microcontrollers_ask_for_the_shape(tmp_path):
    q = tfopt.quantize(field_models.open_unet(), BYTES[..., :3], tfopt.QuantConfig.for_target("tflm"))
    with pytest.raises(ValueError, match=r"every dimension fixed.*'image' of shape \(any, any, 3\)"):
        exported(q, tmp_path)


@pytest.mark.parametrize("kind", ["StringLookup", "TextVectorization", "Hashing", "IntegerLookup"])
def test_text_is_cut_off_as_the_error_says(kind):
    model, (words, rows) = field_models.reported(kind)
    with pytest.raises(ValueError, match=rf"cannot hold 'words' \({kind}\)") as caught:
        tfopt.quantize(model, [words, rows])
    scope = {"model": model, "keras": keras}
    exec(str(caught.value).split("behind it: ")[1].split(". Its samples")[0], scope)
    samples = keras.Model(model.inputs, scope["cut"]).predict([tf.constant(words), rows], verbose=0)
    assert tfopt.quantize(scope["body"], samples).predict(samples, verbose=0).shape == (16, 2)
    assert [row.path for row in tfopt.check(model).layers if row.done == "refused"] == ["words"]


def test_the_converters_cause_is_the_one_that_is_told(tmp_path):
    with pytest.raises(RuntimeError, match=r"TFLite has no kernel for BesselI0 \(in 'bessel"):
        tfopt.export(field_models.behind_dense(field_models.Bessel()), tmp_path / "model.tflite")
