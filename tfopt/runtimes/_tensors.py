"""One tensor of a .tflite file, and how its bytes become a NumPy array."""

import dataclasses
import math
from typing import Any

import numpy as np

# Names of the schema's TensorType, with the bits that one value takes in the file.
BITS = {
    "float64": 64,
    "float32": 32,
    "float16": 16,
    "bfloat16": 16,
    "int64": 64,
    "uint64": 64,
    "int32": 32,
    "uint32": 32,
    "int16": 16,
    "uint16": 16,
    "int8": 8,
    "uint8": 8,
    "bool": 8,
    "complex64": 64,
    "complex128": 128,
    "int4": 4,
    "uint4": 4,
    "int2": 2,
}


@dataclasses.dataclass(frozen=True, eq=False)
class Tensor:
    """A tensor of a `TFLiteFile`: its name, type and grid, and its values if it is constant.

    A real value is `scale * (integer - zero_point)` ([quantization
    spec](https://ai.google.dev/edge/litert/models/quantization_spec)). `scales` and `zero_points` are empty for
    a tensor without a grid, hold one number per tensor, or one per slice along `axis`.

    Args:
        index: position among the tensors of its subgraph.
        name: name in the signature for inputs and outputs of the file, else the converter's name.
        shape: shape in the file; a batch dimension that was left open reads 1.
        dtype: type in the file, such as `"int8"`, `"int4"` or `"float32"`.
        scales: one scale, or one per channel; empty if not quantized.
        zero_points: as many as scales.
        axis: the dimension along which `scales` run.
        data: the values of a constant, None for what is computed. int4 and int2 are unpacked to int8, sparse
            storage is expanded, bfloat16 becomes float32.
        nbytes: bytes that the values take in memory, or in the file for a constant.
        buffer: the number of the buffer in the file; tensors with the same one share their bytes.
        open_dims: the dimensions that the file leaves open.
        is_variable: whether it keeps its value from one call to the next.
        is_sparse: whether the file holds only its nonzero values, and where they stand.

    Example:

    >>> weight = Tensor(0, "kernel", (2, 3), "int8", (0.5,), (0,), 0, np.eye(2, 3, dtype="int8"), 6)
    >>> weight.bits, weight.size, weight.zeros
    (8, 6, 4)
    """

    index: int
    name: str
    shape: tuple[int, ...]
    dtype: str
    scales: tuple[float, ...] = ()
    zero_points: tuple[int, ...] = ()
    axis: int = 0
    data: np.ndarray | None = None
    nbytes: int = 0
    buffer: int = 0
    open_dims: tuple[int, ...] = ()
    is_variable: bool = False
    is_sparse: bool = False

    @property
    def bits(self) -> int:
        """Bits that one value takes in the file; 0 for types without a fixed size."""
        return BITS.get(self.dtype, 0)

    @property
    def size(self) -> int:
        """Number of values."""
        return math.prod(self.shape)

    @property
    def is_float(self) -> bool:
        """Whether the values are floating point numbers."""
        return "float" in self.dtype

    @property
    def scale(self) -> float | None:
        """The scale of a tensor with one grid, else None."""
        return self.scales[0] if len(self.scales) == 1 else None

    @property
    def zero_point(self) -> int:
        """The integer that stands for 0.0 in a tensor with one grid."""
        return self.zero_points[0] if len(self.zero_points) == 1 else 0

    @property
    def zeros(self) -> int:
        """How many values of a constant stand for 0.0."""
        if self.data is None:
            return 0
        zero: Any = self.zero_point
        if len(self.zero_points) > 1:
            zero = np.expand_dims(self.zero_points, [d for d in range(self.data.ndim) if d != self.axis])
        return int(np.count_nonzero(self.data == zero))

    @property
    def sparsity(self) -> float:
        """Zeros of a constant, as a fraction of its values."""
        return self.zeros / self.size if self.size else 0.0


def decode(raw: np.ndarray, dtype: str, shape: tuple[int, ...], sparsity: Any = None) -> np.ndarray | None:
    """The values in the bytes of a constant; None for types that NumPy has no array for, such as strings.

    `sparsity` is the schema's `SparsityParametersT` of the tensor, or None.
    """
    if dtype in ("int4", "uint4", "int2"):
        values = unpack(raw, BITS[dtype], signed=dtype != "uint4")
    elif dtype == "bfloat16":
        values = (raw.view("<u2").astype(np.uint32) << 16).view(np.float32)
    elif dtype in BITS:
        values = raw.view(np.dtype(dtype).newbyteorder("<"))
    else:
        return None
    if sparsity is not None:
        return expand(values, shape, sparsity)
    return values[: math.prod(shape)].reshape(shape)


def unpack(raw: np.ndarray, bits: int, signed: bool = True) -> np.ndarray:
    """2 or 4 bit numbers out of bytes, lowest bits first, as LiteRT packs them.

    >>> unpack(np.array([0xF1, 0x78], "uint8"), bits=4)
    array([ 1, -1, -8,  7], dtype=int8)
    """
    shifts = np.arange(0, 8, bits, dtype=np.uint8)
    values = ((raw[:, None] >> shifts) & (2**bits - 1)).reshape(-1).astype(np.int8)
    if signed:
        values[values >= 2 ** (bits - 1)] -= 2**bits
    return values


def index_bytes(sparsity: Any) -> int:
    """Bytes that sparse storage takes beside the values: where they stand."""
    vectors = [v for level in sparsity.dimMetadata for v in (level.arraySegments, level.arrayIndices)]
    return sum(np.asarray(vector.values).nbytes for vector in vectors if vector is not None)


def expand(values: np.ndarray, shape: tuple[int, ...], sparsity: Any) -> np.ndarray:
    """A dense array from TFLite's sparse storage (the hybrid TACO format of the schema's SparsityParameters).

    Level by level, in storage order: `coordinates` of every value so far, `at` its place in that level. A dense
    level multiplies the places, a CSR level looks them up in `arraySegments` and `arrayIndices`.
    """
    at = np.zeros(1, np.int64)
    coordinates = np.zeros((1, 0), np.int64)
    sizes = []
    most = math.prod(shape)  # a file may name any size, and none is asked for before it is known to fit
    for level in sparsity.dimMetadata:
        if level.arraySegments is None:
            size = level.denseSize
            if not 0 <= len(at) * size <= most:
                raise ValueError(f"a level of {size:,} places does not fit a sparse tensor of shape {shape}")
            counts = np.full(len(at), size)
            at = (at[:, None] * size + np.arange(size)).reshape(-1)
            found = np.tile(np.arange(size), len(counts))
        else:
            segments = np.asarray(level.arraySegments.values, np.int64)
            indices = np.asarray(level.arrayIndices.values, np.int64)
            counts = segments[at + 1] - segments[at]
            if len(counts) and (counts.min() < 0 or counts.sum() > most):
                raise ValueError(f"its segments do not fit a sparse tensor of shape {shape}")
            starts = np.repeat(segments[at] - np.concatenate([[0], np.cumsum(counts)[:-1]]), counts)
            at = starts + np.arange(counts.sum())
            found, size = indices[at], 0
        sizes.append(size)
        coordinates = np.column_stack([np.repeat(coordinates, counts, axis=0), found])

    order = list(sparsity.traversalOrder)
    blocks = [] if sparsity.blockMap is None else list(sparsity.blockMap)
    place = [coordinates[:, order.index(dim)] for dim in range(len(shape))]
    for number, dim in enumerate(blocks):  # a block's own dimensions come after the tensor's
        level = order.index(len(shape) + number)
        place[dim] = place[dim] * sizes[level] + coordinates[:, level]
    dense = np.zeros(shape, values.dtype)
    dense[tuple(place)] = values[at]
    return dense
