"""Multiplication and rounding of integers, as TFLite Micro's reference kernels have it.

They multiply 32-bit integers by a real number in fixed point: `multiplier * 2**(shift - 31)`, `multiplier` an integer
of 31 bits. Here all integers are int64, in which every product fits. JAX has no int64 unless asked: see `is_exact`.
"""

from typing import Any, NamedTuple

from tfopt._float32 import power_of_two
from tfopt._host_ops import ops
from tfopt.kernels._fixed_point import multiplier_of, product_dtype, rounded_once, rounded_twice

# Products of numbers of 31 bits are kept to their upper half.
_POINT = 31
# A smaller multiplier is zero, as every bit would be shifted out.
_SMALLEST_SHIFT = -31


def is_exact() -> bool:
    """Whether the backend has 64-bit numbers. Without, kernels round once in float32: a code in thousands is off."""
    return product_dtype() == "float64"


def whole(x: Any) -> Any:
    """The nearest whole numbers, int64 (float32 where there is no int64)."""
    x = ops.convert_to_tensor(x)
    if "int" not in str(x.dtype):
        x = ops.round(x)
    return ops.cast(x, "int64" if is_exact() else "float32")


def codes_of(x: Any, step: Any) -> Any:
    """The codes of real numbers that lie on a grid, counted from the code of 0.0.

    >>> from tfopt.kernels.reference._integers import codes_of
    >>> [int(code) for code in codes_of([-0.5, 0.75], 0.25)]
    [-2, 3]
    """
    return whole(ops.cast(x, "float32") / step)


def floor_log2(numbers: Any) -> Any:
    """`floor(log2(numbers))` of positive int64, exactly: 31 less than the leading zeros of 32 bits make it.

    >>> from tfopt.kernels.reference._integers import floor_log2, whole
    >>> [int(power) for power in floor_log2(whole([1, 7, 8, 2**31 - 1]))]
    [0, 2, 3, 30]
    """
    guess = ops.cast(ops.floor(ops.log2(ops.cast(ops.maximum(numbers, 1), product_dtype()))), numbers.dtype)
    guess = ops.maximum(guess, 0)
    # The logarithm may be off by a digit next to a power of two.
    guess = ops.where(_power(guess) > numbers, guess - 1, guess)
    return ops.where(_power(guess + 1) <= numbers, guess + 1, guess)


def _power(exponents: Any) -> Any:
    return ops.left_shift(ops.ones_like(exponents), exponents)


def high_product(left: Any, right: Any) -> Any:
    """`floor(left * right / 2**31 + 1/2)`: the product of two numbers in [-1, 1) with 31 bits behind the point.

    gemmlowp/fixedpoint/fixedpoint.h, `SaturatingRoundingDoublingHighMul`; nothing that is multiplied here saturates.

    >>> from tfopt.kernels.reference._integers import high_product, whole
    >>> [int(code) for code in high_product(whole([3, -3, 4]), whole(2**30))]
    [2, -1, 2]
    """
    return ops.right_shift(left * right + 2 ** (_POINT - 1), _POINT)


def shifted_down(numbers: Any, bits: Any) -> Any:
    """`numbers / 2**bits`, rounded, halves away from zero (gemmlowp's `RoundingDivideByPOT`).

    >>> from tfopt.kernels.reference._integers import shifted_down, whole
    >>> [int(code) for code in shifted_down(whole([5, 6, -6, -7]), 2)]
    [1, 2, -2, -2]
    """
    bits = ops.cast(bits, numbers.dtype)
    half = ops.right_shift(_power(bits), 1)
    return ops.sign(numbers) * ops.right_shift(ops.abs(numbers) + half, bits)


def shifted_up(numbers: Any, bits: int) -> Any:
    """`numbers * 2**bits`, cut off at the ends of 32 bits (gemmlowp's `SaturatingRoundingMultiplyByPOT`)."""
    return ops.clip(numbers * 2**bits, -(2**31), 2**31 - 1)


def quantized_multiplier(ratio: Any) -> tuple[Any, Any]:
    """A positive real number as `multiplier * 2**(shift - 31)`, with `2**30 <= multiplier < 2**31`.

    tflite-micro/tensorflow/lite/kernels/internal/quantization_util.cc, `QuantizeMultiplier`. It is handed a double:
    which products and quotients of steps go into it in float32, and which in double, is a matter of each kernel.

    Args:
        ratio: positive tensor, float64 (or float32, if that is how the kernel computes it).

    Returns:
        `(multiplier, shift)`, int64 tensors of the same shape.

    >>> from tfopt.kernels.reference._integers import quantized_multiplier
    >>> [[int(part) for part in quantized_multiplier(ratio)] for ratio in (0.75, 1.0, 2.0**-40)]
    [[1610612736, 0], [1073741824, 1], [0, 0]]
    """
    ratio = ops.cast(ratio, "float64")
    shift = ops.floor(ops.log2(ratio)) + 1
    mantissa = ratio / ops.cast(power_of_two(shift), "float64")
    up, down = ops.cast(mantissa >= 1.0, "float64"), ops.cast(mantissa < 0.5, "float64")
    mantissa, shift = mantissa * (1.0 - 0.5 * up) * (1.0 + down), ops.cast(shift + up - down, "int64")
    multiplier = ops.cast(ops.floor(mantissa * 2.0**_POINT + 0.5), "int64")
    is_full = multiplier >= 2**_POINT
    multiplier, shift = (
        ops.where(is_full, 2 ** (_POINT - 1), multiplier),
        ops.where(is_full, shift + 1, shift),
    )
    is_tiny = shift < _SMALLEST_SHIFT
    return ops.where(is_tiny, 0, multiplier), ops.where(is_tiny, 0, shift)


def multiplied(numbers: Any, multiplier: Any, shift: Any) -> Any:
    """`numbers * multiplier * 2**(shift - 31)`, rounded twice: halves up, and after a shift down away from zero.

    tflite-micro/tensorflow/lite/kernels/internal/common.cc, `MultiplyByQuantizedMultiplier` of int32 numbers.

    >>> from tfopt.kernels.reference._integers import multiplied, whole
    >>> [int(code) for code in multiplied(whole([3, -3, 100]), whole(2**30), whole(0))]
    [2, -1, 50]
    """
    up, down = ops.maximum(shift, 0), ops.maximum(-shift, 0)
    return shifted_down(high_product(numbers * _power(up), multiplier), down)


class FixedPoint(NamedTuple):
    """A positive real number in fixed point: `multiplier * 2**(shift - 31)`; `multiplier * 2**shift` in float."""

    multiplier: Any
    shift: Any


def fixed_point(ratio: Any) -> FixedPoint:
    """A positive real number, float32 or float64, as kernels multiply with it (see `quantized_multiplier`)."""
    return FixedPoint(*(quantized_multiplier(ratio) if is_exact() else multiplier_of((ratio,), 1.0)))


def _in_fixed_point(ratio: Any) -> FixedPoint:
    return ratio if isinstance(ratio, FixedPoint) else fixed_point(ratio)


def times(numbers: Any, ratio: Any) -> Any:
    """Whole numbers of 32 bits times a real number, in fixed point (see `quantized_multiplier`, `multiplied`).

    Args:
        numbers: tensor of whole numbers.
        ratio: positive, float32, float64 or a `FixedPoint`; a scalar, or a tensor that broadcasts with the numbers.

    Returns:
        Whole numbers of the same shape: int64, or float32 where there is no int64.

    >>> from tfopt.kernels.reference._integers import times
    >>> [int(code) for code in times([100.0, -7.0], 0.25)]
    [25, -2]
    """
    if not is_exact():
        return rounded_twice(numbers, _in_fixed_point(ratio), ties="away")
    return multiplied(whole(numbers), *_in_fixed_point(ratio))


def times_of_64_bits(sums: Any, ratio: Any) -> Any:
    """Sums of 64 bits times a real number of 15 bits, rounded once, halves up.

    tflite-micro/tensorflow/lite/kernels/internal/common.cc, `MultiplyByQuantizedMultiplier` of int64 numbers. The
    multiplier is rounded to 31 bits first.

    >>> from tfopt.kernels.reference._integers import times_of_64_bits
    >>> [int(code) for code in times_of_64_bits([100.0, -7.0], 0.5)]
    [50, -3]
    """
    if not is_exact():
        return rounded_once(sums, _in_fixed_point(ratio), bits=15)
    multiplier, shift = _in_fixed_point(ratio)
    multiplier = ops.minimum(ops.right_shift(multiplier + 2**15, 16), 2**15 - 1)
    bits = 15 - shift
    return ops.right_shift(whole(sums) * multiplier + _power(bits - 1), bits)


def times_over_count(sums: Any, ratio: Any, count: Any) -> Any:
    """Sums of `count` codes times a real number, over the count, which divides the multiplier and is cut, not rounded.

    `multiplier * 2**n // count`, `n = min(floor(log2(count)), 32, 31 + shift)`; then as `times`.
    tflite-micro/tensorflow/lite/kernels/internal/reference/reduce.h, `QuantizedMeanOrSum`.

    >>> from tfopt.kernels.reference._integers import times_over_count
    >>> [int(code) for code in times_over_count([100.0, -7.0], 1.0, 3)]
    [33, -2]
    """
    if not is_exact():
        return rounded_twice(sums, multiplier_of((ratio,), 1.0, ops.cast(count, "float32")), ties="away")
    multiplier, shift = quantized_multiplier(ratio)
    count = whole(count)
    bits = ops.minimum(ops.minimum(floor_log2(count), 32), 31 + shift)
    return multiplied(whole(sums), ops.left_shift(multiplier, bits) // count, shift - bits)


def double(x: Any) -> Any:
    """A float32 number, as it stands in a file, in double precision."""
    return ops.cast(x, product_dtype())


def tabulated(function: Any, codes: Any, num_bits: int = 8) -> Any:
    """`function` of 8-bit codes, looked up among its values at all of them, counted from the code of 0.0.

    Args:
        function: whole numbers -> whole numbers, element by element.
        codes: tensor of whole numbers within `2**num_bits - 1` of 0.
        num_bits: bits of a code.
    """
    reach = 2**num_bits - 1
    table = function(whole(ops.arange(-reach, reach + 1)))
    return ops.take(table, ops.cast(codes + reach, "int32"))
