"""LOGISTIC, TANH, SOFTMAX and LOG_SOFTMAX of TFLite Micro on 8-bit codes: fixed point throughout.

Codes are counted from that of 0.0, and not clipped to a grid unless the kernel does so on the way. Each kernel writes
to one grid alone: LOGISTIC and SOFTMAX steps of 1/256 from 0, TANH of 1/128 around 0, LOG_SOFTMAX of 1/16 down from 0.
"""

from typing import Any

from keras import ops

from tfopt.kernels.reference._fixed_curves import (
    exp_of_negative,
    log_of_at_least_one,
    logistic,
    reciprocal,
    tanh,
)
from tfopt.kernels.reference._integers import (
    double,
    high_product,
    is_exact,
    multiplied,
    quantized_multiplier,
    shifted_down,
    tabulated,
    whole,
)

# Bits before the point: of what goes into LOGISTIC and TANH, of differences of logits, and of sums of exponentials.
_CURVE_BITS, _LOGIT_BITS, _SUM_BITS = 4, 5, 12


def _radius(bits: int, shift: Any) -> Any:
    """The largest code that is still computed with: `floor((2**bits - 1) * 2**(31 - bits) / 2**shift)`."""
    return ops.right_shift(ops.full_like(shift, (2**bits - 1) * 2 ** (31 - bits)), shift)


def _curve(codes: Any, step: Any, function: Any, ends: tuple[int, int], bits: int) -> Any:
    """`function` in Q4 of codes times `step`, to steps of `2**-bits`; what lies too far out goes to the ends."""
    multiplier, shift = quantized_multiplier(double(step) * 2.0 ** (31 - _CURVE_BITS))
    radius = _radius(_CURVE_BITS, shift)

    def of(codes: Any) -> Any:
        inside = ops.clip(codes, 1 - radius, radius - 1)
        inside = shifted_down(function(multiplied(inside, multiplier, shift)), 31 - bits)
        return ops.where(codes <= -radius, ends[0], ops.where(codes >= radius, ends[1], inside))

    return tabulated(of, codes)


def sigmoid(codes: Any, step: Any) -> Any:
    """`1 / (1 + exp(-x))` in steps of 1/256: 0 to 256, of which the grid holds 255.

    tflite-micro, kernels/internal/reference/integer_ops/logistic.h and micro/kernels/logistic_common.cc.

    Args:
        codes: of any shape.
        step: of the input.

    >>> from tfopt.kernels.reference._curves import sigmoid
    >>> [int(code) for code in sigmoid([0, 16, -16], 0.0625)]
    [128, 187, 69]
    """
    if not is_exact():
        return ops.round(256.0 * ops.sigmoid(codes * step))
    return _curve(whole(codes), step, logistic, (0, 255), 8)


def hyperbolic_tangent(codes: Any, step: Any) -> Any:
    """`tanh(x)` in steps of 1/128: -128 to 128, of which the grid holds 127.

    tflite-micro, kernels/internal/reference/integer_ops/tanh.h and micro/kernels/tanh.cc.

    >>> from tfopt.kernels.reference._curves import hyperbolic_tangent
    >>> [int(code) for code in hyperbolic_tangent([0, 16, -16], 0.0625)]
    [0, 97, -97]
    """
    if not is_exact():
        return ops.round(128.0 * ops.tanh(codes * step))
    return _curve(whole(codes), step, tanh, (-128, 127), 7)


def _logits(codes: Any, step: Any) -> tuple[Any, Any, Any]:
    """Below the row's largest code: the codes, the same as real numbers in Q5, and the lowest code that counts."""
    ratio = ops.minimum(double(step) * 2.0 ** (31 - _LOGIT_BITS), 2.0**31 - 1.0)
    multiplier, shift = quantized_multiplier(ratio)
    below = codes - ops.max(codes, axis=-1, keepdims=True)
    lowest = -_radius(_LOGIT_BITS, shift)
    return below, multiplied(ops.maximum(below, lowest), multiplier, shift), lowest


def _exponentials(codes: Any, step: Any) -> tuple[Any, Any]:
    """`exp(x - max(x))` in Q0, looked up among those of all codes, and its sum over the last axis in Q12."""
    below = codes - ops.max(codes, axis=-1, keepdims=True)

    def of(codes: Any) -> Any:
        # All codes as one row, whose largest is the last.
        below, logits, lowest = _logits(ops.minimum(codes, 0), step)
        return ops.where(below >= lowest, exp_of_negative(logits, _LOGIT_BITS), 0)

    powers = tabulated(of, below)
    return powers, ops.sum(shifted_down(powers, _SUM_BITS), axis=-1, keepdims=True)


def softmax(codes: Any, step: Any) -> Any:
    """`exp(x) / sum(exp(x))` over the last axis in steps of 1/256.

    tflite-micro, kernels/internal/reference/softmax.h and micro/kernels/softmax_common.cc, with `beta` 1.

    Args:
        codes: of the logits, of shape (..., depth). The sum of `exp(x - max(x))` must be below 512: else, as with more
            than 511 equal logits, the kernel aborts the program.
        step: of the logits.

    Returns:
        Codes of the same shape, 0 to 256, of which the grid holds 255.

    >>> from tfopt.kernels.reference._curves import softmax
    >>> [int(code) for code in softmax([0, 16, -16], 0.0625)]
    [63, 170, 23]
    """
    if not is_exact():
        return ops.round(256.0 * ops.softmax(codes * step, axis=-1))
    powers, total = _exponentials(whole(codes), step)
    inverse, bits = reciprocal(total, _SUM_BITS)
    return shifted_down(high_product(inverse, powers), bits + 31 - 8)


def log_softmax(codes: Any, step: Any) -> Any:
    """`x - log(sum(exp(x)))` over the last axis in steps of 1/16: -255 to 0.

    tflite-micro, kernels/internal/reference/log_softmax.h and micro/kernels/log_softmax.cc.

    >>> from tfopt.kernels.reference._curves import log_softmax
    >>> [int(code) for code in log_softmax([0, 16, -16], 0.0625)]
    [-23, -7, -39]
    """
    if not is_exact():
        return ops.round(16.0 * ops.log_softmax(codes * step, axis=-1))
    codes = whole(codes)
    below, logits, lowest = _logits(codes, step)
    _, total = _exponentials(codes, step)
    logarithm = log_of_at_least_one(total, _SUM_BITS, _LOGIT_BITS)
    multiplier, shift = quantized_multiplier(
        ops.minimum(double(step) * 2.0 ** (31 - _LOGIT_BITS), 2.0**31 - 1.0)
    )
    # What is smaller than this may not fit into Q5 with the logarithm: it goes to the lowest code.
    back = double(ops.left_shift(ops.ones_like(shift), 31 - shift)) / double(multiplier)
    smallest = ops.maximum(lowest - 1, multiplied(logarithm - 2**31, *quantized_multiplier(back)))
    result = ops.clip(shifted_down(logits - logarithm, 31 - _LOGIT_BITS - 4), -255, 0)
    return ops.where(below > smallest, result, -255)
