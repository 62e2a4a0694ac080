"""Integers times a real number in fixed point, as LiteRT's own kernels compute it; what is whole is whole, in float."""

import functools
import math
from typing import Any

import keras

from tfopt._float32 import power_of_two
from tfopt._host_ops import ops

# log2 of a power of two may come out a rounding error below it.
_LOG_WINDOW = 1e-5


def multiplier_of(steps: tuple[Any, ...], output_step: Any, count: Any = None) -> tuple[Any, Any]:
    """The product of `steps` over `output_step` as `mantissa * 2**shift`, with the mantissa in [0.5, 1).

    Args:
        steps: positive scalars, or tensors of one number per channel.
        output_step: a positive scalar.
        count: divides the mantissa of 31 bits, which is then cut to them, and not rounded (`QuantizedMeanOrSum` of
            LiteRT's reference kernels).

    Returns:
        `(mantissa, shift)`, tensors.
    """
    ratio = math.prod(ops.cast(step, product_dtype()) for step in steps) / ops.cast(
        output_step, product_dtype()
    )
    shift = ops.floor(ops.log2(ratio)) + 1
    mantissa = ratio / ops.cast(power_of_two(shift), product_dtype())
    if count is None:
        return mantissa, shift
    digits = ops.floor(ops.log2(count) + _LOG_WINDOW)
    divided = (
        ops.round(mantissa * 2.0**31)
        * ops.cast(power_of_two(digits), product_dtype())
        / ops.cast(count, product_dtype())
    )
    return ops.floor(divided) / 2.0**31, shift - ops.cast(digits, product_dtype())


def rounded_twice(sums: Any, multiplier: tuple[Any, Any], ties: str) -> Any:
    """`sums * multiplier`, rounded twice: once to the multiplier's 31 bits, and once after a shift to the right.

    The first rounding takes halves up; the second takes them `"up"` or `"away"` from zero (gemmlowp; arXiv
    1712.05877, section 2.2). After a shift by `n` bits a part of `2**-n` of all results differs from rounding once.

    Args:
        sums: float tensor of whole numbers.
        multiplier: as from `multiplier_of`.
        ties: `"up"` or `"away"`.

    Returns:
        float32 tensor of whole numbers, of the same shape.
    """
    mantissa, shift = multiplier
    mantissa = ops.round(mantissa * 2.0**31) / 2.0**31
    before, after = (
        ops.cast(power_of_two(end(shift, 0)), product_dtype()) for end in (ops.maximum, ops.minimum)
    )
    once = ops.floor(ops.cast(sums, product_dtype()) * before * mantissa + 0.5)
    if ties == "up":
        return ops.cast(ops.floor(once * after + 0.5), "float32")
    return ops.cast(ops.sign(once) * ops.floor(ops.abs(once) * after + 0.5), "float32")


def rounded_once(sums: Any, multiplier: tuple[Any, Any], bits: int) -> Any:
    """`sums * multiplier` with a multiplier of so many bits, rounded once, halves up.

    Args:
        sums: float tensor of whole numbers.
        multiplier: as from `multiplier_of`.
        bits: bits of the mantissa.

    Returns:
        float32 tensor of whole numbers, of the same shape.
    """
    mantissa, shift = multiplier
    mantissa = ops.minimum(ops.floor(mantissa * 2.0**bits + 0.5), 2.0**bits - 1) / 2.0**bits
    products = ops.cast(sums, product_dtype()) * mantissa * ops.cast(power_of_two(shift), product_dtype())
    return ops.cast(ops.floor(products + 0.5), "float32")


def code_sums(numbers: Any, step: Any, x: Any, count: Any = 1.0) -> Any:
    """The sums of codes over the axes that a reduction kept, exactly: float32 does not hold all sums of 16-bit codes.

    Args:
        numbers: what was reduced, on a grid of this step.
        step: a scalar.
        x: the result in float: sums over `count`.
        count: a scalar.

    Returns:
        Whole numbers of the shape of `x`; found again from `x` where the axes did not stay.
    """
    if len(numbers.shape) != len(x.shape):
        return ops.round(x * count / step)
    axes = [axis for axis, size in enumerate(x.shape) if size == 1 and axis]
    codes = ops.round(ops.cast(numbers, "float32") / step)
    return ops.sum(ops.cast(codes, product_dtype()), axis=axes, keepdims=True)


def matmul_sums(sources: Any, operands: Any) -> Any:
    """The sums of products of two tensors' codes, exactly: float32 does not hold all of 16-bit codes.

    Args:
        sources: the quantizers of the factors.
        operands: the factors, each on its grid; and the equation of `keras.ops.einsum`, where the product is none of
            `keras.ops.matmul`.

    Returns:
        Whole numbers of the shape of the product.
    """
    *factors, last = operands
    product = functools.partial(ops.einsum, last) if isinstance(last, str) else ops.matmul
    codes = (
        ops.round(ops.cast(factor, "float32") / source.step())
        for factor, source in zip(factors if isinstance(last, str) else operands, sources, strict=True)
    )
    return product(*(ops.cast(each, product_dtype()) for each in codes))


def product_dtype() -> str:
    """A type for products of 55 bits; JAX has none unless asked: there a rounding in ten thousand goes astray."""
    return "float64" if keras.backend.backend() == "tensorflow" else "float32"
