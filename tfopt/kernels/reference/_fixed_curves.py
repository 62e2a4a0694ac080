"""exp, 1 / x, logistic, tanh, log and 1 / sqrt in fixed point, on 32-bit integers, as gemmlowp has them.

A number in `Qn` has `n` bits before the point and `31 - n` behind it. All numbers are int64 tensors; each function
works element by element. Facts from gemmlowp/fixedpoint/fixedpoint.h and
tflite-micro/tensorflow/lite/kernels/internal/common.h.
"""

import math
from typing import Any

from keras import ops

from tfopt.kernels.reference._integers import floor_log2, high_product, shifted_down, shifted_up

_ONE = 2**31 - 1  # 1.0 in Q0, as near as it gets
_NEWTON_STEPS = 3
_ROOT_STEPS = 5


def _q(number: float, bits: int = 0) -> int:
    """A constant in `Q(bits)`."""
    return round(number * 2 ** (31 - bits))


def exp_of_negative(x: Any, bits: int) -> Any:
    """`exp(x)` for `x <= 0`: what is below a quarter by a Taylor polynomial, then a factor for each bit above it.

    `exp(x) = exp(-1/8) * (1 + y + y**2/2 + y**3/6 + y**4/24) * prod(exp(-2**k))`, `y = x mod 1/4 - 1/8`.
    gemmlowp's `exp_on_negative_values`.

    Args:
        x: in `Q(bits)`, negative or 0.
        bits: at most 5.

    Returns:
        In Q0.

    >>> from tfopt.kernels.reference._fixed_curves import exp_of_negative
    >>> from tfopt.kernels.reference._integers import whole
    >>> [round(int(y) / 2**31, 6) for y in exp_of_negative(whole([0, -(2**26), -(2**27)]), 5)]
    [1.0, 0.36788, 0.135335]
    """
    quarter = 2 ** (31 - bits - 2)
    rest = ops.bitwise_and(x, quarter - 1) - quarter
    y = shifted_up(rest, bits) + 2**28
    square = high_product(y, y)
    cube, fourth = high_product(square, y), high_product(square, square)
    tail = high_product(shifted_down(fourth, 2) + cube, _q(1 / 3)) + square
    constant = _q(math.exp(-1 / 8))
    result = constant + high_product(y + shifted_down(tail, 1), constant)
    above = rest - x
    for power in range(-2, bits):
        bit = ops.bitwise_and(above, 2 ** (31 - bits + power))
        result = ops.where(bit > 0, high_product(result, _q(math.exp(-(2.0**power)))), result)
    return ops.where(ops.equal(x, 0), _ONE, result)


def _inverse_of_half(a: Any) -> Any:
    """`2 / (1 + a)` for `a` in [0, 1), Q0 to Q2, by Newton's method from `48/17 - 32/17 * (1 + a) / 2`."""
    half = (a + _ONE + 1) // 2
    x = _q(48 / 17, 2) + high_product(half, _q(-32 / 17, 2))
    for _ in range(_NEWTON_STEPS):
        x = x + shifted_up(high_product(x, 2**29 - high_product(half, x)), 2)
    return x


def one_over_one_plus(a: Any) -> Any:
    """`1 / (1 + a)` for `a` in [0, 1), Q0 to Q0 (gemmlowp's `one_over_one_plus_x_for_x_in_0_1`)."""
    return shifted_up(_inverse_of_half(a), 1)


def reciprocal(x: Any, bits: int) -> tuple[Any, Any]:
    """`1 / x` for a positive `x` in `Q(bits)`: `(fraction, n)`, so that it is `fraction * 2**-n`, the fraction in Q0.

    common.h, `GetReciprocal`.

    >>> from tfopt.kernels.reference._fixed_curves import reciprocal
    >>> from tfopt.kernels.reference._integers import whole
    >>> fraction, n = reciprocal(whole(3 * 2**19), 12)
    >>> round(int(fraction) / 2**31 / 2 ** int(n), 6)
    0.333333
    """
    zeros = 31 - floor_log2(x)
    return one_over_one_plus(ops.left_shift(x, zeros) - 2**31), bits - zeros


def logistic(x: Any) -> Any:
    """`1 / (1 + exp(-x))`, Q4 to Q0 (gemmlowp's `logistic`).

    >>> from tfopt.kernels.reference._fixed_curves import logistic
    >>> from tfopt.kernels.reference._integers import whole
    >>> [round(int(y) / 2**31, 5) for y in logistic(whole([0, 2**27, -(2**27)]))]
    [0.5, 0.73106, 0.26894]
    """
    positive = one_over_one_plus(exp_of_negative(-ops.abs(x), 4))
    return ops.where(ops.equal(x, 0), 2**30, ops.where(x > 0, positive, _ONE - positive))


def tanh(x: Any) -> Any:
    """`tanh(x)`, Q4 to Q0: `(1 - e) / (1 + e)`, `e = exp(-2 * |x|)` (gemmlowp's `tanh`).

    >>> from tfopt.kernels.reference._fixed_curves import tanh
    >>> from tfopt.kernels.reference._integers import whole
    >>> [round(int(y) / 2**31, 5) for y in tanh(whole([0, 2**27, -(2**27)]))]
    [0.0, 0.76159, -0.76159]
    """
    # Twice the number is the same integer with one bit more before the point.
    size = shifted_up(_inverse_of_half(exp_of_negative(-ops.abs(x), 5)) - 2**29, 2)
    return ops.sign(x) * size


def inverse_root(x: Any) -> tuple[Any, Any]:
    """`1 / sqrt(x)` of whole numbers: `(multiplier, shift)` for `multiplied`, by five Newton steps in Q3.

    common.h, `GetInvSqrtQuantizedMultiplierExp`; 0 counts as 1.

    >>> from tfopt.kernels.reference._fixed_curves import inverse_root
    >>> from tfopt.kernels.reference._integers import whole
    >>> multiplier, shift = inverse_root(whole(16))
    >>> round(int(multiplier) * 2.0 ** (int(shift) - 31), 6)
    0.25
    """
    is_one, x = x <= 1, ops.maximum(x, 2)
    fours = ops.cast(x >= 2**29, x.dtype) + ops.cast(x >= 2**31, x.dtype)
    x = ops.right_shift(x, 2 * fours)
    pairs = (30 - floor_log2(x)) // 2 - 1
    shift = 11 + fours - pairs
    number = ops.right_shift(ops.left_shift(x, 2 * pairs), 1)
    half, root = shifted_down(number, 1), ops.full_like(x, 2**28)
    for _ in range(_ROOT_STEPS):
        cube = shifted_up(high_product(high_product(root, root), root), 6)
        root = shifted_up(high_product(_q(1.5, 3), root) - high_product(half, cube), 3)
    multiplier = high_product(root, _q(math.sqrt(2.0) / 2.0))
    multiplier = ops.left_shift(multiplier, ops.maximum(-shift, 0))
    return ops.where(is_one, _ONE, multiplier), ops.where(is_one, 0, -ops.maximum(shift, 0))


def log_of_at_least_one(x: Any, bits: int, output_bits: int) -> Any:
    """`log(x)` for `x >= 1`, `Q(bits)` to `Q(output_bits)`: a rational function around `2**(-1/4)`, plus `log(2) * n`.

    common.h, `log_x_for_x_greater_than_or_equal_to_1`. Two ways to split off the power of two, at `2**(1/2)` of each
    other, and the smaller rest of both.

    >>> from tfopt.kernels.reference._fixed_curves import log_of_at_least_one
    >>> from tfopt.kernels.reference._integers import whole
    >>> round(int(log_of_at_least_one(whole(3 * 2**19), 12, 5)) / 2**26, 6)
    1.098612
    """
    fourth_root = math.sqrt(math.sqrt(2.0))
    inner = output_bits + 1
    root_half, quarter = _q(math.sqrt(0.5)), 2 ** (29 - inner)
    zeros = 31 - floor_log2(x)
    first = shifted_up(high_product(ops.left_shift(x, zeros - 1), root_half), 1)
    first_power = shifted_up(bits - zeros, 31 - inner) + quarter
    headroom = 30 - floor_log2(high_product(x, root_half))
    second = ops.minimum(ops.left_shift(x, headroom), _ONE)
    second_power = shifted_up(bits - headroom, 31 - inner) - quarter
    rest, power = ops.minimum(first, second), ops.maximum(first_power, second_power)
    middle = _q(math.sqrt(math.sqrt(0.5)))
    mean = (rest + middle + 1) // 2
    offset = 2 * (rest - middle)
    square = high_product(offset, offset)
    above = high_product(offset, rest) + high_product(
        high_product(offset, square), _q(11 / 240 * fourth_root)
    )
    inside = _q(2 / fourth_root - fourth_root) + offset + high_product(_q(1 / 20 * fourth_root), square)
    below = high_product(mean, inside) + high_product(_q(1 / 4 * fourth_root), offset)
    scaled = shifted_down(above, inner)
    return shifted_up(
        high_product(power, _q(math.log(2.0))) + high_product(scaled, one_over_one_plus(below)), 1
    )
