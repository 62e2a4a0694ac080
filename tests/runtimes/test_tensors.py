from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tfopt.runtimes import Tensor
from tfopt.runtimes._tensors import decode, expand, unpack


def pack(values: list[int], bits: int) -> np.ndarray:
    """The other direction, written the slow way."""
    data = bytearray((len(values) * bits + 7) // 8)
    for i, value in enumerate(values):
        data[i * bits // 8] |= (value & (2**bits - 1)) << (i * bits % 8)
    return np.frombuffer(bytes(data), np.uint8)


@given(st.lists(st.integers(-8, 7), min_size=1, max_size=9))
def test_int4_values_survive_packing(values: list[int]) -> None:
    assert decode(pack(values, 4), "int4", (len(values),)).tolist() == values


@given(st.lists(st.integers(-2, 1), min_size=1, max_size=9))
def test_int2_values_survive_packing(values: list[int]) -> None:
    assert decode(pack(values, 2), "int2", (len(values),)).tolist() == values


def test_unsigned_nibbles_stay_positive() -> None:
    assert unpack(np.array([0xF0], np.uint8), 4, signed=False).tolist() == [0, 15]


def test_bfloat16_becomes_float32() -> None:
    raw = np.array([0x3F80, 0xC040], "<u2").view(np.uint8)
    assert decode(raw, "bfloat16", (2,)).tolist() == [1.0, -3.0]


def test_strings_have_no_array() -> None:
    assert decode(np.zeros(4, np.uint8), "string", (1,)) is None


def level(dense: int = 0, segments: list | None = None, indices: list | None = None) -> SimpleNamespace:
    return SimpleNamespace(
        denseSize=dense,
        arraySegments=None if segments is None else SimpleNamespace(values=np.array(segments)),
        arrayIndices=None if indices is None else SimpleNamespace(values=np.array(indices)),
    )


def test_sparse_blocks_expand_to_their_places() -> None:
    # a (2, 4) array of blocks of 2 along the second dimension: row 0 has block 1, row 1 has block 0
    sparsity = SimpleNamespace(
        traversalOrder=np.array([0, 1, 2]),
        blockMap=np.array([1]),
        dimMetadata=[level(2), level(segments=[0, 1, 2], indices=[1, 0]), level(2)],
    )
    dense = expand(np.array([1.0, 2.0, 3.0, 4.0]), (2, 4), sparsity)
    assert dense.tolist() == [[0, 0, 1, 2], [3, 4, 0, 0]]


def test_sparse_columns_first() -> None:
    # traversed by columns: column 1 holds row 0, column 2 holds row 1
    sparsity = SimpleNamespace(
        traversalOrder=np.array([1, 0]),
        blockMap=None,
        dimMetadata=[level(3), level(segments=[0, 0, 1, 2], indices=[0, 1])],
    )
    assert expand(np.array([5.0, 6.0]), (2, 3), sparsity).tolist() == [[0, 5, 0], [0, 0, 6]]


@pytest.mark.parametrize(
    ("zero_points", "axis", "zeros"),
    [((), 0, 2), ((1,), 0, 3), ((0, 1), 0, 3), ((0, 1, 5), 1, 5)],
    ids=["no grid", "per tensor", "per row", "per column"],
)
def test_a_zero_is_the_zero_point(zero_points: tuple, axis: int, zeros: int) -> None:
    data = np.array([[0, 1, 5], [0, 1, 1]], "int8")
    grid = (0.5,) * len(zero_points)
    tensor = Tensor(0, "w", (2, 3), "int8", grid, zero_points, axis, data)
    assert tensor.zeros == zeros
    assert tensor.sparsity == zeros / 6
