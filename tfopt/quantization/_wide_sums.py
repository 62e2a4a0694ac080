"""What LiteRT's own kernels do with 16-bit codes, which XNNPACK does not take."""

from typing import TYPE_CHECKING, Any

from keras import ops

from tfopt._rounding import exactly
from tfopt.quantization._fixed_point import multiplier_of, rounded_once, rounded_twice, wide
from tfopt.quantization._grids import Grid
from tfopt.quantization._means import MEANS, count_of, sums_of

if TYPE_CHECKING:
    from tfopt.quantization._sums import Kernel

# How many bits ADD and SUB move their inputs up before they scale them.
_LEFT_SHIFT = 2.0**15


def _add(kernel: "Kernel", x: Any, operands: Any, grid: Grid, sign: int = 1) -> Any:
    """Both inputs on the grid of twice the coarser step, `2**15` times as fine; then the sum on that of the output."""
    steps = [source.step() for source in kernel.sources]
    twice = 2.0 * ops.maximum(*steps)
    left, right = (
        rounded_twice(_codes(operand, step) * _LEFT_SHIFT, multiplier_of((step,), twice), halves="away")
        for operand, step in zip(operands, steps, strict=True)
    )
    return rounded_twice(left + sign * right, multiplier_of((twice,), grid.step * _LEFT_SHIFT), halves="away")


def _subtract(kernel: "Kernel", x: Any, operands: Any, grid: Grid) -> Any:
    return _add(kernel, x, operands, grid, sign=-1)


def _multiply(kernel: "Kernel", x: Any, operands: Any, grid: Grid) -> Any:
    """The product of two codes, rounded twice; its multiplier is computed in float32."""
    left, right = kernel.sources
    products = _codes(operands[0], left.step()) * _codes(operands[1], right.step())
    multiplier = exactly(exactly(left.step() * right.step()) / grid.step)
    return rounded_twice(products, multiplier_of((multiplier,), 1.0), halves="away")


def _matmul(kernel: "Kernel", x: Any, operands: Any, grid: Grid) -> Any:
    """The sum of products of codes has 64 bits, which leaves 15 for the multiplier."""
    left, right = kernel.sources
    sums = ops.round(x / (left.step() * right.step()))
    return rounded_once(sums, multiplier_of((left.step(), right.step()), grid.step), bits=15)


def _leaky_relu(kernel: "Kernel", x: Any, operands: Any, grid: Grid) -> Any:
    """Each side of zero has a multiplier of its own."""
    (source,) = kernel.sources
    slope = ops.divide_no_nan(x, ops.cast(operands[0], "float32"))
    slope = ops.where(slope > 0, slope, 1.0)
    return rounded_twice(
        _codes(operands[0], source.step()), multiplier_of((source.step(), slope), grid.step), "away"
    )


def _mean(kernel: "Kernel", x: Any, operands: Any, grid: Grid) -> Any:
    """The sum of codes, times a multiplier that the count divides, rounded twice."""
    count = count_of(x, operands)
    given, sums = sums_of(kernel, x, count)
    return rounded_twice(sums, multiplier_of((given.step,), grid.step, count), halves="away")


def _total(kernel: "Kernel", x: Any, operands: Any, grid: Grid) -> Any:
    """The sum of codes, multiplied in float32 and rounded, halves away from zero."""
    given, sums = sums_of(kernel, x, 1.0)
    return ops.sign(sums) * ops.floor(exactly(ops.abs(sums) * exactly(given.step / grid.step)) + 0.5)


def _codes(operand: Any, step: Any) -> Any:
    return ops.cast(ops.round(ops.cast(operand, "float32") / step), wide())


# Kind of kernel, where it rounds otherwise than on 8-bit codes -> how.
WIDE = {
    "Add": _add,
    "Subtract": _subtract,
    "Multiply": _multiply,
    **dict.fromkeys(("Matmul", "Einsum", "Dot"), _matmul),
    "leaky_relu": _leaky_relu,
    "Sum": _total,
    **dict.fromkeys(MEANS, _mean),
}
