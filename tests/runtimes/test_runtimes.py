"""Every runtime behind the same interface."""

import sys
from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import pytest

from tests.runtimes.conftest import convert
from tfopt.runtimes import (
    RUNTIMES,
    CannotRunError,
    TFLiteFile,
    TFLiteMicro,
    compare,
    load,
    measure_latency,
    run,
    verify,
)


@pytest.fixture(params=RUNTIMES)
def runtime(request: pytest.FixtureRequest) -> str:
    if request.param == "tflm":
        pytest.importorskip("tflite_micro")
    return request.param


@pytest.mark.parametrize("name", ["dense", "dense int8", "residual", "residual int8", "two", "two int8"])
def test_all_compute_the_same_but_for_rounding(
    files: dict[str, bytes], rows: np.ndarray, images: np.ndarray, runtime: str, name: str
) -> None:
    x: Any = images if "residual" in name else rows
    x = {"zebra": rows[:, :4], "ant": rows[:, 4:8]} if "two" in name else x
    one, other = run(files[name], x, runtime), run(files[name], x)
    assert list(one.values) == list(other.values)
    for key, tensor in zip(other.values, TFLiteFile.read(files[name]).outputs, strict=True):
        assert one.raw[key].dtype == other.raw[key].dtype
        assert np.abs(one.values[key] - other.values[key]).max() <= 4 * (tensor.scale or 1e-6)


@pytest.mark.parametrize("name", ["residual int8", "two int8", "dense"])
def test_every_tensor_can_be_kept(files: dict[str, bytes], runtime: str, name: str) -> None:
    """The outputs stay the same, so what is looked at is what is computed; XNNPACK fuses nothing that rounds."""
    file = TFLiteFile.read(files[name])
    rng = np.random.default_rng(5)
    x = [rng.normal(size=(1, *tensor.shape[1:])).astype("float32") for tensor in file.inputs]
    plain, kept = load(file, runtime), load(file, runtime, keep_tensors=True)
    for one in (plain, kept):
        assert list(one.batches(x if len(x) > 1 else x[0])) == [1]
    for tensor in file.outputs:
        assert np.array_equal(plain.tensor(tensor), kept.tensor(tensor))
    for op in file.operators:
        for tensor in op.outputs:
            assert kept.tensor(tensor).size == tensor.size
            assert kept.tensor(tensor).any()


def test_latency_is_that_of_the_runtime(files: dict[str, bytes], runtime: str) -> None:
    assert measure_latency(files["dense int8"], runs=3, warmup=1, runtime=runtime).median_ms > 0


def test_loading_writes_nothing_on_the_terminal(
    files: dict[str, bytes], runtime: str, capfd: pytest.CaptureFixture
) -> None:
    load(files["dense int8"], runtime, keep_tensors=True)
    load(files["dense int8"], runtime).run(np.ones((2, 16)))
    assert capfd.readouterr() == ("", "")


def test_a_file_of_batch_4_takes_any_number_of_samples(runtime: str) -> None:
    model = keras.Sequential([keras.Input(batch_shape=(4, 2)), keras.layers.Rescaling(2.0)])
    x = np.arange(20.0).reshape(10, 2)
    assert np.array_equal(run(convert(model), x, runtime).values["output_0"], 2 * x)


def test_several_runtimes_in_one_report(
    files: dict[str, bytes], residual: keras.Model, images: np.ndarray
) -> None:
    report = verify(residual, files["residual int8"], images, tolerance=5, runtime=["builtin", "reference"])
    assert report.passed and report.runtimes == ("builtin", "reference")
    assert [output.runtime for output in report.outputs] == ["builtin", "reference"]
    assert "builtin" in str(report) and "reference" in str(report)
    assert not verify(residual, files["residual int8"], images, 0, runtime=["builtin", "xnnpack"]).passed


def test_tflite_micro_says_what_it_needs(files: dict[str, bytes], images: np.ndarray) -> None:
    pytest.importorskip("tflite_micro")
    loaded = TFLiteMicro(files["residual int8"])
    assert loaded.arena.total == loaded.arena.head + loaded.arena.tail
    # the head holds at least what lies between the operators
    assert loaded.arena.head >= loaded.file.peak_activation_bytes
    (row,) = compare({"file": files["residual int8"]}, images, latency_runs=1, runtime="tflm").rows
    assert (row.runtime, row.arena_bytes) == ("TFLite Micro", loaded.arena.total)


def test_verify_says_what_tflite_micro_needs(
    files: dict[str, bytes], residual: keras.Model, images: np.ndarray
) -> None:
    pytest.importorskip("tflite_micro")
    report = verify(residual, files["residual int8"], images, tolerance=5, runtime="tflm")
    assert report.arena_bytes == TFLiteMicro(files["residual int8"]).arena.total
    assert "TFLite Micro's arena, on a 64-bit machine: " in str(report)


def gelu(x: Any) -> Any:
    return keras.ops.gelu(x, approximate=False)


@pytest.mark.parametrize(
    ("function", "operators"),
    [(gelu, {"GELU"}), (lambda x: keras.ops.sign(gelu(x)), {"GELU", "SIGN"})],
    ids=["one", "two"],
)
def test_tflite_micro_names_all_operators_that_it_lacks(function: Callable, operators: set) -> None:
    pytest.importorskip("tflite_micro")
    inputs = keras.Input((4,), batch_size=1)
    content = convert(keras.Model(inputs, function(inputs)))
    with pytest.raises(CannotRunError, match=r"no kernel for GELU.*\. Replace the layers") as caught:
        load(content, "tflm")
    assert set(caught.value.operators) == operators


def test_tflite_micro_names_an_operator_without_this_type(files: dict[str, bytes]) -> None:
    pytest.importorskip("tflite_micro")
    inputs = keras.Input((4,))
    x = np.random.default_rng(0).normal(size=(8, 4)).astype("float32")
    content = convert(keras.Model(inputs, keras.ops.exp(keras.layers.Dense(4)(inputs))), [x])
    with pytest.raises(CannotRunError, match=r"Node EXP .* failed to prepare.* quantize the whole") as caught:
        load(content, "tflm")
    assert caught.value.operators == ("EXP",)


def test_litert_names_the_operators_that_it_lacks(flex_file: bytes) -> None:
    with pytest.raises(CannotRunError) as caught:
        load(flex_file)
    assert caught.value.operators == ("FlexMatrixInverse",)


def test_tflite_micro_has_one_thread(files: dict[str, bytes]) -> None:
    with pytest.raises(ValueError, match="'num_threads' argument must be 1 for TFLite Micro"):
        load(files["dense"], "tflm", num_threads=2)


def test_what_is_not_installed_says_how_to_get_it(
    files: dict[str, bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "tflite_micro.python.tflite_micro", None)
    with pytest.raises(ImportError, match=r"not installed. Install it with: pip install 'tfopt\[mcu\]'"):
        load(files["dense"], "tflm")


@pytest.mark.parametrize("runtime", ["gpu", [], ["xnnpack", "tpu"]])
def test_unknown_names_are_refused(
    files: dict[str, bytes], dense: keras.Model, rows: np.ndarray, runtime: Any
) -> None:
    message = "'runtime' argument must be one of 'xnnpack', 'builtin', 'reference', 'tflm'. Got"
    with pytest.raises(ValueError, match=message):
        verify(dense, files["dense"], rows, runtime=runtime)
    if isinstance(runtime, str):
        with pytest.raises(ValueError, match=message):
            compare({"a": files["dense"]}, rows, runtime=runtime)
        with pytest.raises(ValueError, match=message):
            measure_latency(files["dense"], runtime=runtime)
