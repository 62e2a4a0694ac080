"""How a file is laid out."""

from typing import Any

import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema

from tfopt.conversion._builder import FileBuilder

CHANNELS = 40


def tensor(number: int, step: float) -> Any:
    """A kernel's tensor with a grid for each channel, whose zero points are all 0."""
    made = schema.TensorT()
    made.buffer, made.shape = number, np.array([CHANNELS, 3], "int32")
    made.quantization = schema.QuantizationParametersT()
    made.quantization.scale = np.full(CHANNELS, step, "float32")
    made.quantization.zeroPoint = np.zeros(CHANNELS, "int64")
    return made


@pytest.fixture(scope="module")
def file() -> Any:
    """Two kernels of the same shape, packed and read."""
    model, graph = schema.ModelT(), schema.SubGraphT()
    graph.tensors = [tensor(1, 0.5), tensor(2, 0.25)]
    model.subgraphs, model.buffers = [graph], [schema.BufferT() for _ in range(3)]
    for number in (1, 2):
        model.buffers[number].data = np.full(3 * CHANNELS + number, number, "uint8")
    builder = FileBuilder(64)
    builder.Finish(model.Pack(builder), b"TFL3")
    return schema.Model.GetRootAs(bytes(builder.Output()), 0)


def addresses(vectors: list[np.ndarray]) -> list[int]:
    """Where arrays that look into a file begin."""
    return [int(vector.__array_interface__["data"][0]) for vector in vectors]


def test_equal_vectors_are_written_once(file) -> None:
    grids = [file.Subgraphs(0).Tensors(number).Quantization() for number in range(2)]
    zeros, steps = (
        [getattr(grid, name)() for grid in grids] for name in ("ZeroPointAsNumpy", "ScaleAsNumpy")
    )
    assert len(set(addresses(zeros))) == 1
    assert len(set(addresses(steps))) == 2
    for zero, step, expected in zip(zeros, steps, (0.5, 0.25), strict=True):
        np.testing.assert_array_equal(zero, np.zeros(CHANNELS, "int64"))
        np.testing.assert_array_equal(step, np.full(CHANNELS, expected, "float32"))


def test_constants_are_aligned(file) -> None:
    data = [file.Buffers(number).DataAsNumpy() for number in (1, 2)]
    start = np.frombuffer(file._tab.Bytes, "uint8").__array_interface__["data"][0]
    assert [(address - start) % 16 for address in addresses(data)] == [0, 0]
    for number, values in enumerate(data, 1):
        np.testing.assert_array_equal(values, np.full(3 * CHANNELS + number, number, "uint8"))
