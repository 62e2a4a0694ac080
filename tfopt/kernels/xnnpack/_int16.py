"""What LiteRT's own kernels do with 16-bit codes, which XNNPACK does not take."""

from typing import Any

from keras import ops

from tfopt._float32 import exactly
from tfopt.kernels._add_mask import masked_codes
from tfopt.kernels._family import KernelRule
from tfopt.kernels._fixed_point import (
    code_sums,
    matmul_sums,
    multiplier_of,
    product_dtype,
    rounded_once,
    rounded_twice,
)
from tfopt.kernels._grids import Grid
from tfopt.kernels.reference._family import INT16 as REFERENCE
from tfopt.kernels.reference._int16_curves import int16_softmax
from tfopt.kernels.xnnpack._lookups import exponential, logarithm, looked_up, reciprocal_root
from tfopt.kernels.xnnpack._means import MEANS, count_of


def _multiply(sources: Any, x: Any, operands: Any, grid: Grid) -> Any:
    """The product of two codes, rounded twice; its multiplier is computed in float32."""
    left, right = sources
    products = _codes(operands[0], left.step()) * _codes(operands[1], right.step())
    multiplier = exactly(exactly(left.step() * right.step()) / grid.step)
    return rounded_twice(products, multiplier_of((multiplier,), 1.0), ties="away")


def _matmul(sources: Any, x: Any, operands: Any, grid: Grid) -> Any:
    """The sum of products of codes has 64 bits, which leaves 15 for the multiplier."""
    multiplier = multiplier_of(tuple(source.step() for source in sources), grid.step)
    return rounded_once(matmul_sums(sources, operands), multiplier, bits=15)


def _leaky_relu(sources: Any, x: Any, operands: Any, grid: Grid) -> Any:
    """Each side of zero has a multiplier of its own."""
    (source,) = sources
    slope = ops.divide_no_nan(x, ops.cast(operands[0], "float32"))
    slope = ops.where(slope > 0, slope, 1.0)
    return rounded_twice(
        _codes(operands[0], source.step()), multiplier_of((source.step(), slope), grid.step), "away"
    )


def _mean(sources: Any, x: Any, operands: Any, grid: Grid) -> Any:
    """The sum of codes, times a multiplier that the count divides, rounded twice."""
    count = count_of(x, operands)
    step = sources[0].step()
    sums = code_sums(operands[0], step, x, count)
    return rounded_twice(sums, multiplier_of((step,), grid.step, count), ties="away")


def _total(sources: Any, x: Any, operands: Any, grid: Grid) -> Any:
    """The sum of codes, multiplied in float32 and rounded, halves away from zero."""
    step = sources[0].step()
    sums = ops.cast(code_sums(operands[0], step, x), "float32")
    return ops.sign(sums) * ops.floor(exactly(ops.abs(sums) * exactly(step / grid.step)) + 0.5)


def _softmax(sources: Any, x: Any, operands: Any, grid: Grid) -> Any:
    """The same kernel as TFLite Micro's, with tables of its own."""
    step = sources[0].step()
    return ops.cast(int16_softmax(_codes(operands[0], step), step, in_double=True), "float32")


def _codes(operand: Any, step: Any) -> Any:
    return ops.cast(ops.round(ops.cast(operand, "float32") / step), product_dtype())


# Kind of kernel, where it rounds otherwise than on 8-bit codes -> how.
INT16 = {
    "AddMask": KernelRule(2, masked_codes),
    "AddMask of a constant": KernelRule(1, masked_codes),
    "softmax": KernelRule(1, _softmax),
    # ADD and SUB are TFLite Micro's, digit for digit.
    "Add": REFERENCE["Add"],
    "Subtract": REFERENCE["Subtract"],
    "Multiply": KernelRule(2, _multiply),
    **dict.fromkeys(("Matmul", "Einsum", "Dot"), KernelRule(2, _matmul)),
    "leaky_relu": KernelRule(1, _leaky_relu),
    **dict.fromkeys(("Exp", "exponential"), KernelRule(1, looked_up(exponential))),
    "Log": KernelRule(1, looked_up(logarithm)),
    "Rsqrt": KernelRule(1, looked_up(reciprocal_root)),
    "Sum": KernelRule(1, _total),
    **dict.fromkeys(MEANS, KernelRule(1, _mean)),
}
