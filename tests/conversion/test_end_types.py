"""The types of inputs and outputs: the file's own, uint8 or float32, at each end."""

import keras
import numpy as np
import pytest

import tfopt
from tests.models import samples_for, trained_like
from tfopt.runtimes import TFLiteFile, run


@pytest.fixture(scope="module")
def model():
    layers = [keras.Input((6,), name="x"), keras.layers.Dense(5, activation="relu"), keras.layers.Dense(3)]
    return trained_like(keras.Sequential(layers))


@pytest.fixture(scope="module")
def quantized(model):
    return tfopt.quantize(model, samples_for(model))


def export(model, path, *ends, **options):
    report = tfopt.export(model, path, input_dtype=ends[0], output_dtype=ends[1], **options)
    file = TFLiteFile.read(path)
    assert (report.inputs, report.outputs) == ((file.inputs[0].dtype,), (file.outputs[0].dtype,))
    return report, file


@pytest.mark.parametrize("output", [None, "int8", "uint8", "float32"])
@pytest.mark.parametrize("input", [None, "int8", "uint8", "float32"])
def test_ends_of_an_int8_file(quantized, model, tmp_path, input, output):
    report, _ = export(quantized, tmp_path / "a.tflite", input, output, strict=True)
    assert (report.inputs, report.outputs) == ((input or "int8",), (output or "int8",))
    assert not report.float_operators and report.grid_changes == 0
    assert tfopt.verify(quantized, tmp_path / "a.tflite", samples_for(model)).passed


def test_uint8_is_int8_counted_from_0(quantized, model, tmp_path):
    _, signed = export(quantized, tmp_path / "signed.tflite", "int8", "int8")
    _, unsigned = export(quantized, tmp_path / "unsigned.tflite", "uint8", "uint8")
    for one, other in ((signed.inputs[0], unsigned.inputs[0]), (signed.outputs[0], unsigned.outputs[0])):
        assert one.scale == other.scale and one.zero_point + 128 == other.zero_point
    x = samples_for(model)
    (codes,), (shifted,) = (run(file, x).raw.values() for file in (signed, unsigned))
    np.testing.assert_array_equal(codes.astype(int) + 128, shifted)


def test_ends_of_an_int16_file(model, tmp_path):
    q = tfopt.quantize(model, samples_for(model), tfopt.QuantConfig(activation_bits=16))
    for ends in ((None, "float32"), ("float32", "int16")):
        report, _ = export(q, tmp_path / "a.tflite", *ends)
        assert (report.inputs, report.outputs) == ((ends[0] or "int16",), (ends[1],))
        assert tfopt.verify(q, tmp_path / "a.tflite", samples_for(model), tolerance=2).passed
    with pytest.raises(ValueError, match=r"'input_dtype' argument must be 'int16' or 'float32'.*Got 'uint8'"):
        export(q, tmp_path / "a.tflite", "uint8", None)


def test_ends_that_do_not_fit_teach(model, quantized, tmp_path):
    with pytest.raises(
        ValueError, match=r"'output_dtype' argument must be 'float32' for a file that computes in fl"
    ):
        export(model, tmp_path / "a.tflite", None, "int8")
    with pytest.raises(
        ValueError, match=r"'input_dtype' argument must be 'int8' or 'uint8' or 'float32'.*int16"
    ):
        export(quantized, tmp_path / "a.tflite", "int16", None)


def test_an_input_has_the_range_that_a_device_gives(tmp_path):
    """Camera bytes: 0 to 255 stand for 0 to 1, whatever calibration saw, before and after training."""
    image = keras.Input((6, 6, 3), name="image")
    model = trained_like(keras.Model(image, keras.layers.Dense(2)(keras.layers.Flatten()(image))))
    x = np.random.default_rng(0).uniform(0.2, 0.7, (32, 6, 6, 3)).astype("float32")
    q = tfopt.quantize(model, x, tfopt.QuantConfig(input_ranges={"image": (0.0, 1.0)}))
    q.compile("sgd", "mse")
    q.fit(x, np.zeros((32, 2)), verbose=0)
    tfopt.export(q, tmp_path / "a.tflite", input_dtype="uint8")
    (tensor,) = TFLiteFile.read(tmp_path / "a.tflite").inputs
    assert (tensor.dtype, tensor.zero_point) == ("uint8", 0)
    assert tensor.scale == pytest.approx(1 / 255, rel=2e-5)
    assert tfopt.verify(q, tmp_path / "a.tflite", x).outputs[0].equal == 1.0
    for ranges, words in (({"img": (0.0, 1.0)}, "must name inputs of .* Got 'img'"),):
        with pytest.raises(ValueError, match=words):
            tfopt.quantize(model, x, tfopt.QuantConfig(input_ranges=ranges))
    with pytest.raises(ValueError, match="empty with 16-bit or symmetric activations"):
        tfopt.QuantConfig(input_ranges={"image": (0.0, 1.0)}, activation_bits=16)
