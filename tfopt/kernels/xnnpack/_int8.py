"""How XNNPACK rounds 8-bit codes in kernels without weights, and LiteRT's own kernels where it does not take them."""

from typing import Any

from tfopt._float32 import exactly, power_of_two
from tfopt._host_ops import ops
from tfopt.kernels._family import KernelRule
from tfopt.kernels._fixed_point import multiplier_of, rounded_twice
from tfopt.kernels._grids import Grid
from tfopt.kernels.xnnpack._means import MEANS, mean, total
from tfopt.kernels.xnnpack._softmax import softmax


def _multiply(sources: Any, x: Any, operands: Any, numbers: tuple[Any, Any]) -> Any:
    """The product of two codes is a whole number; it is multiplied in float32 and rounded, halves to even."""
    step, multiplier = numbers
    return ops.round(ops.round(x / step) * multiplier)


def _numbers_of_product(sources: Any, grid: Grid) -> tuple[Any, Any]:
    """The step of the product, and what brings it to the output's."""
    left, right = sources
    step = left.step() * right.step()
    return step, exactly(step / grid.step)


def _add(sources: Any, x: Any, operands: Any, numbers: tuple[Any, Any, Any, Any]) -> Any:
    """`(a * A + b * B + half) >> shift` on 32-bit integers, halves up."""
    *multipliers, sums, shift = numbers
    for multiplier, source, operand in zip(multipliers, sources, operands, strict=True):
        codes = ops.cast(ops.round(ops.cast(operand, "float32") / source.step()), "int32")
        sums = sums + multiplier * codes
    return ops.cast(ops.right_shift(sums, shift), "float32")


def _numbers_of_sum(sources: Any, grid: Grid, sign: int = 1) -> tuple[Any, Any, Any, Any]:
    """`A`, `B`, half a unit and the shift of `_add`; `A` and `B` have 21 bits, as in XNNPACK."""
    ratios = [source.step() / grid.step for source in sources]
    shift = 20.0 - ops.floor(ops.log2(ops.maximum(*ratios)))
    left, right = (ops.cast(ops.round(ratio * power_of_two(shift)), "int32") for ratio in ratios)
    shift = ops.cast(shift, "int32")
    return left, sign * right, ops.left_shift(1, shift - 1), shift


def _numbers_of_difference(sources: Any, grid: Grid) -> tuple[Any, Any, Any, Any]:
    return _numbers_of_sum(sources, grid, sign=-1)


def _matmul(sources: Any, x: Any, operands: Any, grid: Grid) -> Any:
    """XNNPACK multiplies where the second factor's zero point is 0; else LiteRT's BATCH_MATMUL, in fixed point."""
    left, right = sources
    step = left.step() * right.step()
    sums = ops.round(x / step)
    once = ops.round(sums * exactly(step / grid.step))
    twice = rounded_twice(sums, multiplier_of((step,), grid.step), ties="away")
    return ops.where(ops.equal(right.grid().zero_point, 128.0), once, twice)


def _leaky_relu(sources: Any, x: Any, operands: Any, grid: Grid) -> Any:
    """`(code * multiplier + 128) >> 8`, as XNNPACK has it; the multiplier is `256 * slope` of this side of zero."""
    source = ops.cast(operands[0], "float32")
    codes = ops.round(source / sources[0].step())
    # The slope is that of what was computed in float: alpha itself is known to the layer alone.
    multiplier = ops.round(256.0 * ops.divide_no_nan(x, source) * (sources[0].step() / grid.step))
    return ops.floor(codes * multiplier / 256.0 + 0.5)


def quantize(sources: Any, x: Any, operands: Any, grid: Grid) -> Any:
    """LiteRT's own QUANTIZE, between two grids of different bits."""
    (source,) = sources
    codes = ops.round(ops.cast(operands[0], "float32") / source.step())
    return rounded_twice(codes, multiplier_of((source.step(),), grid.step), ties="away")


_MATMUL = KernelRule(2, _matmul)
INT8 = {
    "Add": KernelRule(2, _add, _numbers_of_sum),
    "Subtract": KernelRule(2, _add, _numbers_of_difference),
    "Multiply": KernelRule(2, _multiply, _numbers_of_product),
    "Matmul": _MATMUL,
    "Einsum": _MATMUL,
    "Dot": _MATMUL,
    "leaky_relu": KernelRule(1, _leaky_relu),
    "Requantize": KernelRule(1, quantize),
    "Sum": KernelRule(1, total),
    "softmax": KernelRule(1, softmax),
    **dict.fromkeys(MEANS, KernelRule(1, mean)),
}
