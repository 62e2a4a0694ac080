"""How the values of a kernel are distributed."""

import dataclasses

import numpy as np

from tfopt.runtimes._tensors import Tensor

# Of a histogram, where a kernel has more codes than that.
BINS = 32
_CODES = 4  # bits up to which each code has a bin of its own


@dataclasses.dataclass(frozen=True)
class KernelValues:
    """A weight kernel of a file, and a histogram of its values.

    Attributes:
        name: name in the file.
        shape: shape in the file (TFLite puts output channels first).
        bits: bits of one value.
        bytes: bytes that it takes in the file.
        size: number of values.
        sparsity: zeros as a fraction of `size`.
        codes: whether the values are codes of a grid, and not real numbers.
        low: lower end of the first bin.
        high: upper end of the last bin.
        counts: values in each bin; all bins are as wide.
    """

    name: str
    shape: tuple[int, ...]
    bits: int
    bytes: int
    size: int
    sparsity: float
    codes: bool
    low: float
    high: float
    counts: tuple[int, ...]


def kernel_values(kernel: Tensor) -> KernelValues:
    """The histogram of a constant.

    Codes have bins from the lowest code that the type has to the highest, the same for each kernel; real numbers from
    the smallest value to the largest.

    >>> import numpy as np
    >>> codes = np.array([[-8, 0, 0, 7]], "int8")
    >>> made = kernel_values(Tensor(0, "kernel", (1, 4), "int4", (0.5,), (0,), 0, codes, 2))
    >>> made.low, made.high, made.counts, made.sparsity
    (-8.5, 7.5, (1, 0, 0, 0, 0, 0, 0, 0, 2, 0, 0, 0, 0, 0, 0, 1), 0.5)
    """
    values = np.asarray(kernel.data)
    codes = values.dtype.kind in "iu"
    if codes:
        unsigned = values.dtype.kind == "u"
        least = 0 if unsigned else -(2 ** (kernel.bits - 1))
        low, high = least - 0.5, least + 2**kernel.bits - 0.5
        bins = 2**kernel.bits if kernel.bits <= _CODES else BINS
    else:
        low, high, bins = float(values.min()), float(values.max()), BINS
        if not np.isfinite([low, high]).all():
            values = values[np.isfinite(values)]
            low, high = (float(values.min()), float(values.max())) if values.size else (0.0, 0.0)
        if low == high:
            low, high = low - 0.5, high + 0.5
    counts, _ = np.histogram(values.astype("float64"), bins, (low, high))
    return KernelValues(
        name=kernel.name,
        shape=kernel.shape,
        bits=kernel.bits,
        bytes=kernel.nbytes,
        size=kernel.size,
        sparsity=kernel.sparsity,
        codes=codes,
        low=low,
        high=high,
        counts=tuple(counts.tolist()),
    )
