import json
from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf

from tests.runtimes.conftest import convert
from tfopt.runtimes import TFLiteFile, verify

PARTS = ("samples", "named", "tensors", "pairs", "batches")


def on_grid(content: bytes) -> np.ndarray:
    """Rows that the file's int8 input holds exactly, so that file and model see the same numbers."""
    (row,) = TFLiteFile.read(content).inputs
    codes = np.random.default_rng(2).integers(-128, 128, (30, 16))
    return ((codes - row.zero_point) * row.scale).astype("float32")


def clipped(content: bytes, model: keras.Model) -> Callable[[np.ndarray], np.ndarray]:
    """What integer arithmetic gives: the model's outputs, cut to the range that the file's output can hold."""
    (out,) = TFLiteFile.read(content).outputs
    ends = [(end - out.zero_point) * out.scale for end in (-128, 127)]
    return lambda x: np.clip(x @ model.layers[0].kernel.numpy(), *ends)


def test_an_exact_int8_file_passes(files: dict[str, bytes], dense: keras.Model) -> None:
    report = verify(dense, files["dense int8"], on_grid(files["dense int8"]))
    assert report.passed
    (output,) = report.outputs
    assert (output.dtype, output.values, output.within_1) == ("int8", 90, 1.0)
    assert output.max_steps <= 1
    assert output.equal > 0.95
    assert sum(output.histogram.values()) == 90
    assert (report.operators, report.float_ops, report.inner_quantize_ops) == ({"FULLY_CONNECTED": 1}, {}, 0)
    assert report.weight_bits == {8: 48}
    assert report.sparsity == report.kernels[0].sparsity == np.mean(dense.layers[0].kernel.numpy() == 0)


@pytest.mark.parametrize("name", ["dense", "dense sparse", "residual", "two"])
def test_float_files_pass(request: pytest.FixtureRequest, files: dict[str, bytes], name: str) -> None:
    model = request.getfixturevalue({"two": "two_by_two"}.get(name, name.split()[0]))
    x = np.random.default_rng(3).normal(size=(8, *model.inputs[0].shape[1:])).astype("float32")
    report = verify(model, files[name], [x, -x] if name == "two" else x)
    assert report.passed
    assert all(output.max_relative < 1e-5 and output.max_steps is None for output in report.outputs)
    assert len(report.outputs) == len(model.outputs)


@pytest.mark.parametrize("name", ["dense", "dense int8"])
def test_a_file_with_other_weights_does_not_pass(
    files: dict[str, bytes], dense: keras.Model, name: str
) -> None:
    kernel = TFLiteFile.read(files[name]).kernels[0].data
    wrong = kernel.copy()
    zero = tuple(np.argwhere(kernel == 0)[0])
    wrong[zero] = 8 if name == "dense int8" else 8 / 127  # one weight, by 6 % of the largest
    assert files[name].count(kernel.tobytes()) == 1
    report = verify(
        dense, files[name].replace(kernel.tobytes(), wrong.tobytes()), on_grid(files["dense int8"])
    )
    assert not report.passed
    assert report.outputs[0].within_1 < 1
    assert "FAILED" in str(report)


def test_swapped_outputs_do_not_pass(
    files: dict[str, bytes], two_by_two: keras.Model, rows: np.ndarray
) -> None:
    swapped = keras.Model(two_by_two.inputs, two_by_two.outputs[::-1])
    pair = [rows[:, :4], rows[:, 4:8]]
    assert verify(two_by_two, files["two"], pair).passed
    assert not verify(swapped, files["two"], pair).passed


def test_tolerance_is_in_steps(files: dict[str, bytes], residual: keras.Model, images: np.ndarray) -> None:
    """A float model and its quantized file are some steps apart: passed exactly from that many on."""
    most = verify(residual, files["residual int8"], images).outputs[0].max_steps
    assert most >= 1
    assert verify(residual, files["residual int8"], images, tolerance=most).passed
    assert not verify(residual, files["residual int8"], images, tolerance=most - 1).passed


@pytest.mark.parametrize("form", PARTS)
def test_every_form_of_samples(
    files: dict[str, bytes], two_by_two: keras.Model, rows: np.ndarray, form: str
) -> None:
    zebra, ant, labels = rows[:, :4], rows[:, 4:8], np.zeros(40)
    samples: Any = {
        "samples": [zebra, ant],
        "named": {"ant": ant, "zebra": zebra},
        "tensors": [tf.constant(zebra), tf.constant(ant)],
        "pairs": ([zebra, ant], labels),
        "batches": tf.data.Dataset.from_tensor_slices(((zebra, ant), labels)).batch(16),
    }[form]
    report = verify(two_by_two, files["two"], samples)
    assert (report.passed, report.samples) == (True, 40)


def test_a_subclassed_model_is_verified(
    files: dict[str, bytes], dense: keras.Model, rows: np.ndarray
) -> None:
    class Twin(keras.Model):
        def call(self, x: Any) -> Any:
            return keras.ops.matmul(x, dense.layers[0].kernel)

    assert verify(Twin(), files["dense"], rows).passed


def test_what_litert_cannot_run_is_reported(flex_file: bytes) -> None:
    report = verify(keras.Sequential([keras.Input((2, 2))]), flex_file, np.ones((3, 2, 2)))
    assert not report.passed
    assert report.custom_ops == ("FlexMatrixInverse",)
    assert "no kernel for FlexMatrixInverse" in str(report).replace("\n", " ")


@pytest.mark.parametrize("name", ["residual", "residual int8"])
def test_the_report_fits_a_terminal_and_json(
    files: dict[str, bytes], residual: keras.Model, images: np.ndarray, path_of: Callable, name: str
) -> None:
    path = path_of(name)
    report = verify(residual, path, images)
    text = str(report)
    assert max(map(len, text.splitlines())) <= 80
    assert path.name in text and "16 samples" in text and "1 CONV_2D" in text
    data = json.loads(json.dumps(report.to_dict(), allow_nan=False))
    assert data["passed"] is report.passed
    assert data["outputs"][0]["values"] == 80


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"model": "model.keras"}, TypeError, "'model' argument must be a Keras 3 model. Got str"),
        (
            {"path": "nowhere.tflite"},
            ValueError,
            "'path' argument .* 'nowhere.tflite', which is no such file",
        ),
        ({"samples": np.empty((0, 16))}, ValueError, "'samples' argument must hold at least one sample"),
        (
            {"samples": np.full((2, 16), np.nan)},
            ValueError,
            "'samples' argument must hold finite numbers. Got 32 NaN",
        ),
        (
            {"samples": np.ones((2, 4))},
            ValueError,
            r"must have the shape \(n, 16\) for the input 'row'. Got \(2, 4\)",
        ),
        (
            {"tolerance": -1},
            ValueError,
            "'tolerance' argument must be a whole number of steps, 0 or more. Got -1",
        ),
        (
            {"tolerance": 0.5},
            ValueError,
            "'tolerance' argument must be a whole number of steps, 0 or more. Got 0.5",
        ),
        ({"runtime": "gpu"}, ValueError, "'runtime' argument must be one of"),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_bad_arguments_are_refused(
    files: dict[str, bytes], dense: keras.Model, change: dict, error: type, message: str
) -> None:
    arguments = {"model": dense, "path": files["dense"], "samples": np.ones((2, 16)), **change}
    with pytest.raises(error, match=message):
        verify(**arguments)


def test_a_file_of_another_model_is_refused(
    files: dict[str, bytes], dense: keras.Model, rows: np.ndarray
) -> None:
    other = keras.Sequential([keras.Input((16,)), keras.layers.Dense(4)])
    with pytest.raises(
        ValueError, match=r"the shape \(40, 3\) on these samples, and the Keras model's has \(40, 4\)"
    ):
        verify(other, files["dense"], rows)
    two = keras.Model(dense.inputs, [dense.outputs[0], dense.outputs[0]])
    with pytest.raises(ValueError, match=r"The file has 1 outputs, .*, and the Keras model has 2"):
        verify(two, files["dense"], rows)


def test_a_softmax_that_fails_says_what_that_means() -> None:
    """A wrong model that ends in a softmax; the note is not there for one that passes."""
    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(3, activation="softmax")])
    content = convert(model)
    x = np.random.default_rng(0).normal(size=(8, 4)).astype("float32")
    assert "After a softmax" not in str(verify(model, content, x))
    model.layers[0].kernel.assign(-np.asarray(model.layers[0].kernel))
    assert "After a softmax" in str(verify(model, content, x))
