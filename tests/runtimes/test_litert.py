import copy
import math
import os
from collections.abc import Callable
from fractions import Fraction

import keras
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.runtimes.conftest import convert
from tfopt._quiet import quiet
from tfopt.conversion._flatbuffer import Flatbuffer
from tfopt.runtimes import LiteRT, TFLiteFile, load, run
from tfopt.runtimes._codes import quantize_values


@given(st.floats(-20, 20, width=32), st.sampled_from([0.01, 1.0, 16 / 255, 0.3]), st.integers(-128, 127))
def test_codes_are_nearest_and_clipped(x: float, scale: float, zero_point: int) -> None:
    code = int(quantize_values(np.array(x), scale, zero_point, "int8"))
    exact = x / scale + zero_point
    assert code == max(-128, min(127, code))
    assert abs(code - min(max(exact, -128), 127)) <= 0.5 * (1 + 1e-3)


@pytest.mark.parametrize("levels", [2, 5, 17, 86, 256])
@pytest.mark.parametrize(("low", "high"), [(0, 16), (0, 1), (0, 255), (-128, 127), (-7, 3)])
def test_evenly_spaced_values_get_the_codes_that_paper_gives(low: int, high: int, levels: int) -> None:
    """Many of them lie exactly on halves, which float32 scales miss by a bit to either side."""
    scale = Fraction(high - low, 255)
    zero_point = round(-low / scale) - 128
    exact = [low + Fraction((high - low) * i, levels - 1) for i in range(levels)]
    by_hand = [math.floor(x / scale + Fraction(1, 2)) + zero_point for x in exact]
    pixels = np.array([float(x) for x in exact], "float32")
    codes = quantize_values(pixels, float(np.float32(scale)), zero_point, "int8")
    assert codes.tolist() == np.clip(by_hand, -128, 127).tolist()


@pytest.mark.parametrize(
    "name", ["dense", "dense int8", "dense uint8", "dense int16", "dense float io", "dense sparse"]
)
@pytest.mark.parametrize("runtime", ["builtin", "reference", "xnnpack"])
def test_every_type_computes_the_product(
    files: dict[str, bytes], dense: keras.Model, rows: np.ndarray, name: str, runtime: str
) -> None:
    result = run(files[name], rows, runtime)
    exact = rows @ dense.layers[0].kernel.numpy()
    # int8 inputs are half a step of 2/255 off, in 16 places at most; the output is half a step of its own off
    step = 1e-5 if name in ("dense", "dense sparse") else 1e-3 if "int16" in name else 2 / 255
    assert result.values["output_0"].shape == (40, 3)
    assert np.abs(result.values["output_0"] - exact).max() < 5 * step
    raw_dtype = {"uint8": "uint8", "int8": "int8", "int16": "int16"}.get(name.split()[-1], "float32")
    assert result.raw["output_0"].dtype == raw_dtype


def test_integers_are_those_of_integer_arithmetic(files: dict[str, bytes], rows: np.ndarray) -> None:
    file = TFLiteFile.read(files["dense int8"])
    (row,), (out,), (kernel,) = file.inputs, file.outputs, file.kernels
    codes = quantize_values(rows, row.scale, row.zero_point, "int8").astype(int)
    sums = (codes - row.zero_point) @ kernel.data.astype(int).T
    expected = quantize_values(sums * np.array(kernel.scales) * row.scale, out.scale, out.zero_point, "int8")
    assert np.array_equal(run(file, rows, "reference").raw["output_0"], expected)


def test_a_file_of_batch_4_takes_any_number_of_samples() -> None:
    model = keras.Sequential([keras.Input(batch_shape=(4, 2)), keras.layers.Rescaling(2.0)])
    done: list[int] = []
    x = np.arange(20.0).reshape(10, 2)
    values = LiteRT(convert(model)).run(x, advance=done.append).values["output_0"]
    assert np.array_equal(values, 2 * x)
    assert done == [4, 4, 2]


@pytest.mark.parametrize("name", ["two", "two int8"])
@pytest.mark.parametrize("form", ["dict", "list"])
def test_several_inputs_and_outputs(files: dict[str, bytes], rows: np.ndarray, name: str, form: str) -> None:
    zebra, ant = rows[:, :4], rows[:, 4:8]
    loaded = LiteRT(files[name])
    samples = {"zebra": zebra, "ant": ant} if form == "dict" else [zebra, ant]
    values = loaded.run(samples, order=("zebra", "ant")).values
    assert list(values) == ["output_0", "output_1"]
    atol = 1e-5 if name == "two" else 0.08
    assert np.allclose(values["output_0"], np.repeat((zebra + ant).sum(1, keepdims=True), 2, 1), atol=atol)
    assert np.allclose(values["output_1"], np.repeat(-2 * zebra.sum(1, keepdims=True), 2, 1), atol=atol)


def test_loading_writes_nothing_on_the_terminal(
    files: dict[str, bytes], capfd: pytest.CaptureFixture, path_of: Callable
) -> None:
    run(files["dense"], np.ones((1, 16)))
    run(path_of("dense int8"), np.ones((1, 16)))
    assert capfd.readouterr() == ("", "")
    os.write(2, b"after")
    assert capfd.readouterr().err == "after"


def test_stderr_is_restored_after_an_error(capfd: pytest.CaptureFixture) -> None:
    with pytest.raises(KeyError), quiet(2):
        os.write(2, b"held back")
        raise KeyError
    os.write(2, b"after")
    assert capfd.readouterr().err == "after"


def test_what_cannot_run_says_why(flex_file: bytes, files: dict[str, bytes]) -> None:
    with pytest.raises(
        RuntimeError, match=r"cannot run <bytes>: it has no kernel for FlexMatrixInverse. Replace the"
    ):
        run(flex_file, np.ones((1, 2, 2)))
    with pytest.raises(
        ValueError,
        match=r"'runtime' argument must be one of 'xnnpack', 'builtin', 'reference', 'tflm'. Got 'gpu'",
    ):
        run(files["dense"], np.ones((1, 16)), runtime="gpu")


def test_of_several_signatures_the_first_runs_and_is_named() -> None:
    file = Flatbuffer(convert(keras.Sequential([keras.Input((2,)), keras.layers.ReLU()])))
    other = copy.deepcopy(file.model.signatureDefs[0])
    other.signatureKey = b"other"
    file.model.signatureDefs.append(other)
    file.changed = True
    with pytest.warns(
        UserWarning, match="has 2 signatures. Of these 'serving_default' runs, and not 'other'"
    ):
        loaded = load(file.to_bytes())
    assert loaded.file.signatures == ("serving_default", "other")
    assert loaded.run([[1.0, -2.0]]).raw["output_0"].tolist() == [[1.0, 0.0]]
