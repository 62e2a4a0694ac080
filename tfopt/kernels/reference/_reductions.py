"""MEAN, SUM, AVERAGE_POOL_2D and CUMSUM of TFLite Micro, L2_NORMALIZATION and RSQRT.

Codes are counted from that of 0.0, and not clipped to a grid.
"""

from typing import Any

from keras import ops

from tfopt.kernels.reference._fixed_curves import inverse_root
from tfopt.kernels.reference._integers import (
    double,
    is_exact,
    multiplied,
    quantized_multiplier,
    times,
    times_over_count,
    whole,
)

# A mean of n codes is a half or at least 1/(2n) away from it; what is off by no more than this is float32 noise, of
# which the larger codes of 16 bits have more.
_MEAN_WINDOW = {8: 2.0**-11, 16: 2.0**-7}
_CUMULATIVE_SHIFT = 20
_ROOT_SHIFT = 20


def mean(sums: Any, count: Any, step: Any, output_step: Any) -> Any:
    """Sums of codes times a multiplier that the count divides (kernels/internal/reference/reduce.h).

    Args:
        sums: of codes, of any shape.
        count: how many codes are in each sum.
        step: of the input.
        output_step: of the output.

    >>> from tfopt.kernels.reference._reductions import mean
    >>> [int(code) for code in mean([10, -7], 2, 0.5, 0.25)]
    [10, -7]
    """
    return times_over_count(sums, double(step) / double(output_step), count)


def total(sums: Any, step: Any, output_step: Any) -> Any:
    """Sums of codes times the ratio of the steps (kernels/internal/reference/reduce.h).

    >>> from tfopt.kernels.reference._reductions import total
    >>> [int(code) for code in total([10, -7], 0.5, 2.0)]
    [3, -2]
    """
    return times(sums, double(step) / double(output_step))


def average(codes: Any, zero_point: Any, num_bits: int = 8) -> Any:
    """Means of codes, on the grid that these lie on; halves go away from the stored code 0.

    tflite-micro, kernels/internal/reference/integer_ops/pooling.h.

    Args:
        codes: means of codes, in float, counted from that of 0.0.
        zero_point: the stored code of 0.0, -128 to 127.
        num_bits: bits of a code, 8 or 16.

    >>> from tfopt.kernels.reference._reductions import average
    >>> [int(average(2.5, zero_point)) for zero_point in (0.0, -128.0)]
    [3, 2]
    """
    stored = codes + zero_point
    rounded = ops.sign(stored) * ops.floor(ops.abs(stored) + (0.5 + _MEAN_WINDOW[num_bits]))
    return rounded - zero_point


def cumulative(sums: Any, zero_point: Any, step: Any, output_step: Any) -> Any:
    """CUMSUM of 8-bit codes, which starts from minus the zero point where it should start from 0.

    tflite-micro, kernels/internal/reference/cumsum.h and micro/kernels/cumsum.cc.

    Args:
        sums: sums of codes up to each place.
        zero_point: the stored code of 0.0 of the input, -128 to 127.
        step: of the input.
        output_step: of the output.

    >>> from tfopt.kernels.reference._reductions import cumulative
    >>> [int(code) for code in cumulative([10, -7], 0, 0.5, 0.5)]
    [10, -7]
    """
    shift = 2.0**_CUMULATIVE_SHIFT
    halves = (whole(sums) - whole(zero_point)) * 2 ** (_CUMULATIVE_SHIFT - 1)
    return times(halves, 2.0 * double(step) / (shift * double(output_step)))


def unit_norm(codes: Any) -> Any:
    """`x / sqrt(sum(x**2))` over the last axis in steps of 1/128; the input's step cancels.

    tflite-micro, kernels/internal/reference/integer_ops/l2normalization.h.

    >>> from tfopt.kernels.reference._reductions import unit_norm
    >>> [int(code) for code in unit_norm([30, -40])]
    [77, -102]
    """
    codes = whole(codes)
    squares = ops.sum(codes * codes, axis=-1, keepdims=True)
    if not is_exact():
        return ops.round(128.0 * codes / ops.sqrt(ops.maximum(squares, 1.0)))
    multiplier, shift = inverse_root(squares)
    return multiplied(codes, multiplier, shift + 7)


def reciprocal_root(codes: Any, step: Any, output_step: Any) -> Any:
    """`1 / sqrt(x)`; 0 becomes the largest code, and the kernel refuses negative numbers.

    tflite-micro, micro/kernels/elementwise.cc; its multiplier is `1 / (sqrt(step) * output_step)`.

    >>> from tfopt.kernels.reference._reductions import reciprocal_root
    >>> [int(code) for code in reciprocal_root([1, 4], 0.25, 0.125)]
    [16, 8]
    """
    ratio = 1.0 / (ops.sqrt(double(step)) * double(output_step))
    if not is_exact():
        return ops.where(codes > 0, ops.round(ops.rsqrt(ops.maximum(codes, 1.0)) * ratio), 2.0**16)

    codes = whole(codes)
    root, root_shift = inverse_root(codes)
    multiplier, shift = quantized_multiplier(ratio)
    fine = multiplied(ops.ones_like(codes), root, root_shift + _ROOT_SHIFT)
    return ops.where(codes > 0, multiplied(fine, multiplier, shift - _ROOT_SHIFT), 2**16)
