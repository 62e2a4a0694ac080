"""How XNNPACK rounds means and sums over axes."""

from typing import Any

from keras import ops

from tfopt._float32 import exactly
from tfopt.kernels._grids import Grid

MEANS = ("Mean", "GlobalAveragePooling1D", "GlobalAveragePooling2D", "GlobalAveragePooling3D")


def mean(sources: Any, x: Any, operands: Any, grid: Grid) -> Any:
    """The sum of `count` codes, zero points among them, times `input_step / output_step * (1 / count)`, in float32."""
    count = count_of(x, operands)
    given, sums = sums_of(sources, x, count)
    return _shifted(sums, count, exactly(given.step / grid.step) * exactly(1.0 / count), given, grid)


def total(sources: Any, x: Any, operands: Any, grid: Grid) -> Any:
    """As `mean`, but not divided by the count."""
    given, sums = sums_of(sources, x, 1.0)
    return _shifted(sums, count_of(x, operands), exactly(given.step / grid.step), given, grid)


def count_of(x: Any, operands: Any) -> Any:
    """How many numbers of the operand went into each of `x`."""
    return ops.cast(ops.size(operands[0]) // ops.maximum(ops.size(x), 1), "float32")


def sums_of(sources: Any, x: Any, count: Any) -> tuple[Grid, Any]:
    """The grid of what was summed, and the sums of codes that `x` was divided from, counted from those of 0.0."""
    given = sources[0].grid()
    return given, ops.round(x * count / given.step)


def _shifted(sums: Any, count: Any, multiplier: Any, given: Grid, grid: Grid) -> Any:
    """`round(total * multiplier + (zero_point - count * input_zero_point * multiplier))`, as XNNPACK has it.

    `total` sums the codes as they are stored, so that both terms round to float32 each in its own way: where the
    exact number is halfway between two codes, that decides.
    """
    multiplier = exactly(multiplier)
    zeros, zero_point = count * (given.zero_point - 128.0), grid.zero_point - 128.0
    offset = exactly(zero_point - exactly(zeros * multiplier))
    return ops.round(exactly((sums + zeros) * multiplier) + offset) - zero_point
