"""Functions of 16-bit codes that LiteRT looks up: a table of 513 values, and straight lines between them."""

from collections.abc import Callable
from typing import Any

import numpy as np
from keras import ops

from tfopt._float32 import exactly
from tfopt.kernels._family import Rounding
from tfopt.kernels._grids import Grid
from tfopt.kernels.reference._integers import double

_ENTRIES = 512
_LOWEST, _HIGHEST = -32768.0, 32767.0


def looked_up(function: Callable[[Any, Any], Any]) -> Rounding:
    """The rule of a kernel that looks up a function.

    The table spans all codes of the input, negative ones too; each entry is moved by half of what the straight line to
    the next one misses midway (`LUTPopulate` and `LUTLookup` of tensorflow/lite/kernels/internal/common.h).

    Args:
        function: real numbers and the largest number of the output -> real numbers, float32.
    """

    def codes(sources: Any, x: Any, operands: Any, grid: Grid) -> Any:
        table = _table(function, sources[0].step(), grid.step)
        numbers = ops.cast(ops.round(ops.cast(operands[0], "float32") / sources[0].step()), "int32")
        at = ops.right_shift(numbers, 7) + _ENTRIES // 2
        low, high = ops.take(table, at), ops.take(table, at + 1)
        rest = ops.bitwise_and(numbers, 127)
        return ops.cast(low + ops.right_shift((high - low) * rest + 64, 7), "float32")

    return codes


def _table(function: Callable[[Any, Any], Any], step: Any, output_step: Any) -> Any:
    lowest, highest = exactly(step * _LOWEST), exactly(step * _HIGHEST)
    output_highest = exactly(output_step * _HIGHEST)
    inverse = exactly(65536.0 / exactly(output_highest - exactly(output_step * _LOWEST)))
    between = exactly(exactly(highest - lowest) * (1.0 / _ENTRIES))
    points = exactly(lowest + exactly(np.arange(_ENTRIES + 1, dtype="float32") * between))
    values = exactly(function(points, output_highest) * inverse)
    middles = _nearest(exactly(function(exactly(points[:-1] + between * 0.5), output_highest) * inverse))
    first = _nearest(values[:-1])
    lines = _nearest(exactly(values[1:] + first) * 0.5)
    table = ops.concatenate([first - _nearest((lines - middles) * 0.5), _nearest(values[-1:])])
    return ops.cast(ops.clip(table, _LOWEST, _HIGHEST), "int32")


def _nearest(numbers: Any) -> Any:
    """Whole numbers, halves away from zero; by a comparison, for a half added to the number below it is one."""
    size = ops.abs(numbers)
    below = ops.floor(size)
    return ops.sign(numbers) * (below + ops.cast(size - below >= 0.5, "float32"))


def reciprocal_root(x: Any, highest: Any) -> Any:
    """`1 / sqrt(x)`; the largest number of the output for what is not positive."""
    # TensorFlow's graphs compute 1 / x as a reciprocal, which may differ in the last bit; this is a true division.
    root = exactly(ops.sqrt(ops.where(x > 0.0, x, 1.0)))
    return ops.where(x > 0.0, exactly(2.0 / root) * 0.5, highest)


def exponential(x: Any, highest: Any) -> Any:
    """`exp(x)`, computed in double precision and rounded once."""
    return ops.cast(ops.exp(double(x)), "float32")


def logarithm(x: Any, highest: Any) -> Any:
    """`log(x)`; the largest negative number of the output for what is not positive."""
    return ops.where(x > 0.0, ops.cast(ops.log(double(ops.where(x > 0.0, x, 1.0))), "float32"), -highest)
