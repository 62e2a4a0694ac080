"""The arithmetic of the fused LSTM equals that of LiteRT and of TFLite Micro, whatever its numbers."""

import keras
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.kernels.one_operator import Tensor, one_operator
from tfopt.conversion._flatbuffer import Flatbuffer
from tfopt.conversion._lstm import write_lstms
from tfopt.kernels import FAMILIES, LstmStandIn, LstmWeights, lstm_codes
from tfopt.kernels._grids import Grid
from tfopt.runtimes import load

RUNTIMES = {"xnnpack": "xnnpack", "reference": "tflm"}


# Families, and the bits of the inputs and hidden states that their runtimes take.
FORMS = [("xnnpack", 8), ("reference", 8), pytest.param("reference", 16, marks=pytest.mark.slow)]


@st.composite
def cases(draw, num_bits):
    """The numbers of an operator and its inputs; some of them drive gates and cells to the ends of 16 bits."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    steps, inputs, units = (draw(st.integers(1, most)) for most in (5, 5, 32))

    def step(low, high):
        return np.float32(2.0 ** rng.uniform(low, high))

    def codes(*shape):
        return rng.integers(-127, 128, shape).astype("float32")

    size = draw(st.sampled_from([2, 8, 14]))
    weights = LstmWeights(
        codes(inputs, 4 * units),
        codes(units, 4 * units),
        rng.integers(-(2**size), 2**size, 4 * units).astype("float32"),
        np.array([step(-9, -4) for _ in range(4)]),
        np.array([step(-9, -4) for _ in range(4)]),
    )
    end = 2 ** (num_bits - 1)
    zeros = rng.integers(-128, 128, 2) if num_bits == 8 else (0, 0)
    # As many real numbers in either width.
    grids = [
        (step(*limits) * np.float32(128 / end), int(zero))
        for limits, zero in zip(((-8, -2), (-9, -7)), zeros, strict=True)
    ]
    cell_step = np.float32(2.0 ** draw(st.integers(-15, -9)))
    codes_in = rng.integers(-end, end, (3, steps, inputs))
    return codes_in, weights, grids, cell_step


def file_of(shape, weights, grids, cell_step, num_bits):
    """A file of one LSTM, by way of the operator that the converter gives."""
    (input_step, input_zero), (step, zero) = grids
    _, steps, inputs = shape
    units = weights.recurrent.shape[0]
    layer = LstmStandIn(units, name="lstm")
    model = keras.Sequential([keras.Input((steps, inputs)), layer])
    layer.set_weights([*weights, cell_step])
    matrix, dtype = layer.matrix().T, f"int{num_bits}"
    scales = np.abs(matrix).max(axis=1) / 127
    dense = one_operator(
        "FULLY_CONNECTED",
        [
            Tensor((1, steps, inputs), dtype, input_step, input_zero),
            Tensor(matrix.shape, "int8", scales, 0, np.round(matrix / scales[:, None])),
        ],
        [Tensor((1, steps, units), dtype, step, zero)],
        "FullyConnectedOptions",
        keepNumDims=True,
    )
    file = Flatbuffer(dense)
    write_lstms(file, model)
    return file.to_bytes()


@pytest.mark.parametrize("family, num_bits", FORMS)
@settings(max_examples=20, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_equal_to_the_runtime(family, num_bits, data):
    if family == "reference":
        pytest.importorskip("tflite_micro.python.tflite_micro.runtime")
    codes, weights, grids, cell_step = data.draw(cases(num_bits))
    (input_step, input_zero), (step, zero) = grids
    runtime = load(file_of(codes.shape, weights, grids, cell_step, num_bits), RUNTIMES[family])
    found = []
    for sample in codes.astype(f"int{num_bits}"):
        runtime.reset()  # else the file keeps the states of the one before
        runtime.set_inputs([sample[None]])
        runtime.invoke()
        found.append(runtime.tensor(runtime.file.outputs[0])[0])
    grid = Grid(step, np.float32(zero + 2 ** (num_bits - 1)))
    hidden, cells = lstm_codes(
        FAMILIES[family].lstm, codes - input_zero, weights, input_step, grid, cell_step, num_bits
    )
    np.testing.assert_array_equal(np.asarray(hidden) + zero, found)
    assert np.abs(np.asarray(cells)).max() <= 2**15
