"""ADD, SUB, MUL and SQUARED_DIFFERENCE of TFLite Micro.

Each function: `(codes, steps, output_step) -> codes`, the codes counted from that of 0.0, not clipped at the ends of
the grid, and before a fused activation. Zero points do not enter. Shapes broadcast. Multipliers are computed in double
precision.
"""

from typing import Any

from keras import ops

from tfopt.kernels.reference._integers import double, times, whole

# How many bits ADD and SUB move codes up before they scale them, by the bits of a code.
_LEFT_SHIFT = {8: 20, 16: 15}
# And SQUARED_DIFFERENCE.
_SQUARED_SHIFT = {8: 7, 16: 0}


def add(
    codes: tuple[Any, Any], steps: tuple[Any, Any], output_step: Any, num_bits: int = 8, sign: int = 1
) -> Any:
    """The sum: each code on the grid of twice the coarser step, `2**20` times as fine, then on that of the output.

    tflite-micro, micro/kernels/add_common.cc, micro/kernels/sub_common.cc and
    kernels/internal/reference/integer_ops/add.h. `output_step` must be above `max(steps) / 2**19` (`2**14` with 16-bit
    codes): else the kernel aborts.

    Args:
        codes: of both inputs.
        steps: of both inputs.
        output_step: of the output.
        num_bits: 8, or 16 where codes are moved up by 15 bits.
        sign: -1 for the difference.

    >>> from tfopt.kernels.reference._arithmetic import add
    >>> [int(code) for code in add(([5, -6], [1, 2]), (0.5, 1.0), 0.25)]
    [14, -4]
    """
    shift = 2.0 ** _LEFT_SHIFT[num_bits]
    twice = 2.0 * ops.maximum(*map(double, steps))
    left, right = (
        times(whole(code) * int(shift), double(step) / twice) for code, step in zip(codes, steps, strict=True)
    )
    return times(left + sign * right, twice / (shift * double(output_step)))


def multiply(codes: tuple[Any, Any], steps: tuple[Any, Any], output_step: Any) -> Any:
    """The product of two codes times `step * step / output_step`.

    tflite-micro, micro/kernels/mul_common.cc and kernels/internal/reference/integer_ops/mul.h.

    >>> from tfopt.kernels.reference._arithmetic import multiply
    >>> [int(code) for code in multiply(([5, -6], [1, 2]), (0.5, 1.0), 0.25)]
    [10, -24]
    """
    left, right = map(whole, codes)
    return times(left * right, double(steps[0]) * double(steps[1]) / double(output_step))


def squared_difference(
    codes: tuple[Any, Any], steps: tuple[Any, Any], output_step: Any, num_bits: int = 8
) -> Any:
    """`(a - b)**2`: both on the grid of twice the coarser step, `2**7` times as fine; the square is scaled.

    tflite-micro, micro/kernels/squared_difference.cc.

    >>> from tfopt.kernels.reference._arithmetic import squared_difference
    >>> [int(code) for code in squared_difference(([5, -6], [1, 2]), (0.5, 1.0), 0.25)]
    [9, 100]
    """
    shift = 2.0 ** _SQUARED_SHIFT[num_bits]
    twice = 2.0 * ops.maximum(*map(double, steps))
    left, right = (
        times(whole(code) * int(shift), double(step) / twice) for code, step in zip(codes, steps, strict=True)
    )
    difference = left - right
    return times(difference * difference, twice * twice / (shift * shift * double(output_step)))
