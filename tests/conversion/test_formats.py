"""Formats of float models, from models and from files."""

import json
import os
import sys
import zipfile

import keras
import numpy as np
import pytest
from keras import layers

import tfopt
from tfopt.runtimes import TFLiteFile, run

# Format -> bits of the large kernels, and how far outputs may be off, as a share of their range.
FLOAT_FORMATS = {"float32": (32, 1e-5), "float16": (16, 2e-3), "dynamic": (8, 0.02)}
STORED_FORMATS = {"weights_int8": (8, 0.01), "weights_int4": (4, 0.2)}
INTEGER_FORMATS = {"int8": (8, 0.05), "int16": (8, 0.02)}


@pytest.fixture(scope="module")
def model():
    keras.utils.set_random_seed(0)
    image = keras.Input((8, 8, 4), name="image")
    x = layers.Conv2D(32, 3, activation="relu", name="stem")(image)
    x = layers.Conv2D(32, 3, name="second")(x)
    return keras.Model(image, layers.Dense(16, name="logits")(layers.Flatten(name="flat")(x)), name="small")


@pytest.fixture(scope="module")
def x():
    return np.random.default_rng(0).normal(size=(16, 8, 8, 4)).astype("float32")


def check(report, bits, allowed, model, x):
    assert max(report.weight_bits, key=report.weight_bits.get) == bits
    assert (report.input_names, report.output_names) == (("image",), ("logits",))
    expected = model.predict(x, verbose=0)
    values = run(report.path, x).values["logits"]
    assert np.abs(values - expected).max() <= allowed * np.ptp(expected)
    if report.outputs == ("float32",):
        verified = tfopt.verify(model, report.path, x)
        assert verified.passed and verified.float_tolerance == {32: 1e-4, 16: 2e-3, 8: 0.02, 4: 0.3}[bits]
        assert f"{verified.float_tolerance:g} of the output's range" in " ".join(str(verified).split())


@pytest.mark.parametrize("format", FLOAT_FORMATS)
def test_the_converter_makes(format, model, x, tmp_path):
    report = tfopt.export(model, tmp_path / "a.tflite", format=format)
    check(report, *FLOAT_FORMATS[format], model, x)
    assert report.inputs == report.outputs == ("float32",)
    if format != "float32":
        assert report.size.raw < 0.6 * tfopt.export(model, tmp_path / "b.tflite").size.raw


@pytest.mark.parametrize("format", STORED_FORMATS)
def test_ai_edge_quantizer_makes(format, model, x, tmp_path):
    pytest.importorskip("ai_edge_quantizer")
    report = tfopt.export(model, tmp_path / "a.tflite", format=format)
    check(report, *STORED_FORMATS[format], model, x)


@pytest.mark.parametrize("format", STORED_FORMATS)
def test_a_missing_package_is_named(format, model, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "ai_edge_quantizer", None)
    with pytest.raises(
        ImportError, match=rf"'{format}' needs AI Edge Quantizer.*pip install 'tfopt\[formats\]'"
    ):
        tfopt.export(model, tmp_path / "a.tflite", format=format)
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("format", INTEGER_FORMATS)
def test_samples_make_a_float_model_an_integer_file(format, model, x, tmp_path):
    report = tfopt.export(model, tmp_path / "a.tflite", format=format, calibration=x, strict=True)
    check(report, *INTEGER_FORMATS[format], model, x)
    assert report.inputs == report.outputs == (format,)
    assert not any(isinstance(layer, tfopt.FakeQuantize) for layer in model.layers)


@pytest.mark.parametrize("ending", [".keras", ".h5"])
def test_a_path_is_loaded(ending, model, x, tmp_path):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("absl.logging.warning", lambda *_: None)  # Keras on .h5: a legacy format
        model.save(tmp_path / f"model{ending}")
    report = tfopt.export(tmp_path / f"model{ending}", tmp_path / "a.tflite")
    check(report, 32, 1e-5, model, x)


@pytest.mark.filterwarnings("ignore:You are saving your model as an HDF5 file:UserWarning")
@pytest.mark.parametrize("form", ["model.h5", "model.keras", "saved_model"])
def test_keras_2_goes_through_legacy(form, tmp_path):
    tf_keras = pytest.importorskip("tf_keras")
    dense = tf_keras.layers.Dense(3, activation="hard_sigmoid", name="gates")  # another function in Keras 3
    old = tf_keras.Sequential([tf_keras.Input((4,), name="x"), dense])
    old.save(tmp_path / form)
    report = tfopt.export(str(tmp_path / form), tmp_path / "a.tflite")
    x = np.random.default_rng(0).normal(size=(8, 4)).astype("float32")
    values = run(report.path, x).values["gates"]
    np.testing.assert_allclose(values, old.predict(x, verbose=0), atol=1e-5)


def test_combinations_that_make_no_sense_teach(model, x, tmp_path):
    path = tmp_path / "a.tflite"
    quantized = tfopt.quantize(model, x)
    cases = [
        (model, {"format": "int4"}, r"'format' argument must be one of 'float32'.*Got 'int4'"),
        (model, {"format": "int8"}, r"needs samples.*format='int8', calibration=samples"),
        (quantized, {"format": "float16"}, r"'format' argument must be 'int8' or left out.*Got 'float16'"),
        (quantized, {"format": "int16"}, r"'format' argument must be 'int8' or left out"),
        (model, {"calibration": x}, r"'calibration' argument goes with format='int8' or 'int16'"),
        (
            model,
            {"format": "float16", "calibration": x},
            r"'calibration' argument goes with.*Got the format 'float16'",
        ),
        (quantized, {"format": "int8", "calibration": x}, r"'calibration' argument is for float models"),
        (
            model,
            {"format": "dynamic", "sparse": True},
            r"'sparse' argument must be False for the format 'dynamic'",
        ),
        (model, {"format": "float16", "input_dtype": "int8"}, r"'input_dtype' argument must be 'float32'"),
        (
            tmp_path / "missing.keras",
            {},
            r"'model' argument must be a Keras model, or the path.*Nothing is at",
        ),
    ]
    for source, options, message in cases:
        with pytest.raises(ValueError, match=message):
            tfopt.export(source, path, **options)
    assert tfopt.export(quantized, path, format="int8").inputs == ("int8",)


def test_a_file_that_is_no_model_teaches(tmp_path):
    (tmp_path / "a.h5").write_bytes(b"nothing")
    with zipfile.ZipFile(tmp_path / "a.keras", "w") as archive:
        archive.writestr("metadata.json", json.dumps({"keras_version": "3.9.0"}))
    for name in ("a.h5", "a.keras"):
        with pytest.raises(ValueError, match=r"'model' argument must be a Keras model, or the path of one"):
            tfopt.export(tmp_path / name, tmp_path / "a.tflite")
    assert not (tmp_path / "a.tflite").exists()


def test_files_are_read_as_they_are_described(model, tmp_path):
    for format in FLOAT_FORMATS:
        report = tfopt.export(model, tmp_path / "a.tflite", format=format)
        assert TFLiteFile.read(tmp_path / "a.tflite").weight_bits == report.weight_bits
