"""Sparse storage: the size of kernels that are stored as their nonzero values and the positions of these."""

import dataclasses
from collections.abc import Iterable, Iterator

import numpy as np

from tfopt.runtimes._tensors import Tensor

# Values per column number: 1, or a block of this many along the compressed axis.
BLOCKS = (1, 4, 16)
# Bytes that a DENSIFY operator, its tensor and the description of the format take in a file.
OVERHEAD = 360


@dataclasses.dataclass(frozen=True, eq=False)
class SparseEncoding:
    """A kernel in TFLite's sparse form: dense along `order`, compressed rows on its last axis.

    Attributes:
        order: the axes, outermost first; the last one is compressed.
        block: how many values along the last axis share one index.
        segments: where each row begins in `indices`, and where the last one ends.
        indices: numbers of the columns (of blocks) that are stored.
        values: the stored values, block after block.
        bits: bits of one value in a file.

    Example: see `encode_sparse`.
    """

    order: tuple[int, ...]
    block: int
    segments: np.ndarray
    indices: np.ndarray
    values: np.ndarray
    bits: int

    @property
    def nbytes(self) -> int:
        """Bytes of values, indices and segments."""
        return (self.values.size * self.bits + 7) // 8 + self.indices.nbytes + self.segments.nbytes

    def saving(self, dense: int) -> int:
        """How many of `dense` bytes are saved, including the cost of the DENSIFY operator; 0 if it is not smaller."""
        return saved(dense, self.nbytes)


def saved(dense: int, sparse: int) -> int:
    """How many of `dense` bytes are saved by storing `sparse` of them; 0 if it is not smaller."""
    return max(0, dense - sparse - OVERHEAD)


def encode_sparse(kernel: np.ndarray, bits: int | None = None) -> SparseEncoding:
    """The smallest encoding of a kernel among all compressed axes and block lengths.

    Compressed sparse rows (CSR), as in TFLite's SparsityParameters, which follow TACO (Kjolstad et al. 2017,
    https://dl.acm.org/doi/10.1145/3133901).

    Args:
        kernel: an array in TFLite's order of axes: outputs first.
        bits: bits of one value in the file; those of the array's type by default.

    >>> from tfopt.runtimes import encode_sparse
    >>> encoding = encode_sparse(np.array([[0, 7, 0, 0], [0, 0, 0, 0], [5, 0, 0, 6]], "int8"))
    >>> encoding.segments.tolist(), encoding.indices.tolist(), encoding.values.tolist()
    ([0, 1, 1, 3], [1, 0, 3], [7, 5, 6])
    """
    bits = bits or 8 * kernel.itemsize
    smallest = min(_forms(kernel), key=lambda form: form.nbytes(bits))
    return smallest.encoding(bits)


@dataclasses.dataclass(frozen=True, eq=False)
class _Form:
    """A way to store a kernel: its size is counted before anything is stored.

    Attributes:
        order: the axes, outermost first.
        blocks: the kernel in this order: rows, blocks, values of a block.
        stored: which blocks have a value that is not zero.
    """

    order: tuple[int, ...]
    blocks: np.ndarray
    stored: np.ndarray

    def nbytes(self, bits: int) -> int:
        """As `SparseEncoding.nbytes`."""
        count, block = int(np.count_nonzero(self.stored)), self.blocks.shape[2]
        last = int(np.flatnonzero(self.stored.any(axis=0)).max(initial=0))
        segments = (len(self.blocks) + 1) * np.dtype(_smallest_type(count)).itemsize
        return (count * block * bits + 7) // 8 + count * np.dtype(_smallest_type(last)).itemsize + segments

    def encoding(self, bits: int) -> SparseEncoding:
        """What it stores."""
        segments = np.concatenate([[0], np.cumsum(self.stored.sum(axis=1))])
        indices = np.nonzero(self.stored)[1]
        values = self.blocks[self.stored].reshape(-1)
        return SparseEncoding(
            self.order, self.blocks.shape[2], _small(segments), _small(indices), values, bits
        )


def _forms(kernel: np.ndarray) -> Iterator[_Form]:
    axes = tuple(range(kernel.ndim))
    for order in {axes, (*axes[1:], 0)}:
        rows = np.transpose(kernel, order).reshape(-1, kernel.shape[order[-1]])
        for block in BLOCKS:
            if rows.shape[1] % block == 0:
                blocks = rows.reshape(len(rows), -1, block)
                yield _Form(order, blocks, np.asarray(blocks.any(axis=2)))


def _small(numbers: np.ndarray) -> np.ndarray:
    """The numbers in the smallest of TFLite's three types for them."""
    return numbers.astype(_smallest_type(int(numbers.max(initial=0))))


def _smallest_type(largest: int) -> str:
    return "uint8" if largest < 2**8 else "uint16" if largest < 2**16 else "int32"


def sparse_bytes(raw: int, kernels: Iterable[Tensor]) -> int:
    """The size of a file if every kernel that is smaller in sparse storage were stored in it.

    Some runtimes read fewer sparse kernels than others: `tfopt.export(..., sparse=True)` says which ones LiteRT reads.

    Args:
        raw: bytes of the file as it is.
        kernels: `TFLiteFile.kernels` of it.

    >>> from tfopt.runtimes import Tensor, sparse_bytes
    >>> kernel = Tensor(0, "kernel", (64, 64), "int8", data=np.eye(64, dtype="int8"), nbytes=4096)
    >>> sparse_bytes(5000, [kernel])
    1457
    """
    dense = [kernel for kernel in kernels if not kernel.is_sparse and kernel.bits]
    return raw - sum(
        saved(kernel.nbytes, min(form.nbytes(kernel.bits) for form in _forms(kernel.data)))
        for kernel in dense
        if kernel.data is not None
    )
