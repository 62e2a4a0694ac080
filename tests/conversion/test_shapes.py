"""Open dimensions: fixed when a file is written, or resized when it is run."""

import keras
import numpy as np
import pytest
from keras import layers

import tfopt
from tfopt.runtimes import TFLiteFile, run
from tfopt.runtimes._codes import to_dtype


@pytest.fixture(scope="module")
def model():
    """A fully convolutional network for images of any size."""
    keras.utils.set_random_seed(0)
    image = keras.Input((None, None, 3), name="image")
    x = layers.Conv2D(4, 3, activation="relu", name="stem")(image)
    x = layers.DepthwiseConv2D(3, padding="same", name="wide")(x)
    return keras.Model(image, layers.Dense(2, name="logits")(layers.GlobalAveragePooling2D()(x)), name="any")


@pytest.fixture(scope="module")
def x():
    return np.random.default_rng(0).normal(size=(5, 8, 9, 3)).astype("float32")


@pytest.fixture(params=["float", "int8"])
def case(request, model, x):
    return model if request.param == "float" else tfopt.quantize(model, x)


def test_shapes_fix_what_is_open(case, x, tmp_path):
    report = tfopt.export(case, tmp_path / "a.tflite", shapes={"image": (8, 9, 3)})
    file = TFLiteFile.read(tmp_path / "a.tflite")
    assert report.input_shapes == (file.inputs[0].shape,) == ((1, 8, 9, 3),)
    assert not file.is_open and "Open dimensions" not in str(report)
    assert tfopt.verify(case, tmp_path / "a.tflite", x).passed
    assert case.input.shape == (None, None, None, 3)


def test_what_stays_open_is_reported_and_resized(case, x, tmp_path):
    report = tfopt.export(case, tmp_path / "a.tflite")
    assert report.input_shapes == ((1, -1, -1, 3),)
    assert "Open dimensions (?) in image" in str(report)
    for samples in (x, x[:, :7, :5]):
        assert tfopt.verify(case, tmp_path / "a.tflite", samples).passed
    row = tfopt.compare({"file": tmp_path / "a.tflite"}, x, latency_runs=1).rows[0]
    assert row.latency_ms > 0


@pytest.mark.parametrize("runtime", ["xnnpack", "builtin", "reference"])
def test_an_open_batch_takes_any_number(case, x, tmp_path, runtime):
    path = tmp_path / "a.tflite"
    report = tfopt.export(case, path, batch_size=None, shapes={"image": (8, 9, 3)})
    assert report.input_shapes == ((-1, 8, 9, 3),)
    assert tfopt.verify(case, path, x, runtime=runtime).passed
    from ai_edge_litert.interpreter import Interpreter

    file, interpreter = TFLiteFile.read(path), Interpreter(str(path))
    interpreter.resize_tensor_input(interpreter.get_input_details()[0]["index"], (4, 8, 9, 3))
    interpreter.allocate_tensors()
    interpreter.set_tensor(interpreter.get_input_details()[0]["index"], to_dtype(x[:4], file.inputs[0]))
    interpreter.invoke()
    outputs = interpreter.get_tensor(file.outputs[0].index)
    np.testing.assert_allclose(outputs, run(path, x).raw["logits"][:4], atol=1e-5)


def test_shapes_that_do_not_fit_teach(model, tmp_path):
    path = tmp_path / "a.tflite"
    with pytest.raises(
        ValueError, match=r"'shapes' argument must have names of the model's inputs.*'image'.*pic"
    ):
        tfopt.export(model, path, shapes={"pic": (8, 8, 3)})
    for shape in ((8, 8, 1), (8, 8), (None, 8, 3), (1, 8, 8, 3), (8.0, 8, 3)):
        with pytest.raises(ValueError, match=r"'image' a shape of one sample that fits \(any, any, 3\)"):
            tfopt.export(model, path, shapes={"image": shape})
    assert not path.exists()
