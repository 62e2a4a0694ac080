"""ADD, SUB, MUL and SQUARED_DIFFERENCE of TFLite Micro.

Each function: `(codes, ratios) -> codes`, the codes counted from that of 0.0, not clipped at the ends of the grid, and
before a fused activation. Zero points do not enter. Shapes broadcast. The ratios come from the steps of both inputs and
of the output, in double precision, once for all codes.
"""

from typing import Any

from tfopt._host_ops import ops
from tfopt.kernels.reference._integers import double, fixed_point, times, whole

# How many bits ADD and SUB move codes up before they scale them, by the bits of a code.
_LEFT_SHIFT = {8: 20, 16: 15}
# And SQUARED_DIFFERENCE.
_SQUARED_SHIFT = {8: 7, 16: 0}


def ratios_of_sum(steps: tuple[Any, Any], output_step: Any, num_bits: int = 8) -> tuple[Any, Any, Any]:
    """What `add` multiplies each input with, and what it multiplies their sum with."""
    left, right, twice = _to_one_grid(steps)
    return left, right, fixed_point(twice / (2.0 ** _LEFT_SHIFT[num_bits] * double(output_step)))


def _to_one_grid(steps: tuple[Any, Any]) -> tuple[Any, Any, Any]:
    """What brings both inputs to a grid of twice the coarser step, and this."""
    twice = 2.0 * ops.maximum(*map(double, steps))
    left, right = (fixed_point(double(step) / twice) for step in steps)
    return left, right, twice


def add(codes: tuple[Any, Any], ratios: tuple[Any, Any, Any], num_bits: int = 8, sign: int = 1) -> Any:
    """The sum: each code on the grid of twice the coarser step, `2**20` times as fine, then on that of the output.

    tflite-micro, micro/kernels/add_common.cc, micro/kernels/sub_common.cc and
    kernels/internal/reference/integer_ops/add.h. `output_step` must be above `max(steps) / 2**19` (`2**14` with 16-bit
    codes): else the kernel aborts.

    Args:
        codes: of both inputs.
        ratios: as from `ratios_of_sum`.
        num_bits: 8, or 16 where codes are moved up by 15 bits.
        sign: -1 for the difference.

    >>> from tfopt.kernels.reference._arithmetic import add, ratios_of_sum
    >>> [int(code) for code in add(([5, -6], [1, 2]), ratios_of_sum((0.5, 1.0), 0.25))]
    [14, -4]
    """
    left, right = _on_one_grid(codes, ratios, 2 ** _LEFT_SHIFT[num_bits])
    return times(left + sign * right, ratios[2])


def _on_one_grid(codes: tuple[Any, Any], ratios: tuple[Any, Any, Any], finer: int) -> tuple[Any, Any]:
    """Both codes on the grid of twice the coarser step, so many times as fine."""
    left, right = (times(whole(code) * finer, ratio) for code, ratio in zip(codes, ratios[:2], strict=True))
    return left, right


def ratio_of_product(steps: tuple[Any, Any], output_step: Any) -> Any:
    """What `multiply` multiplies with: `step * step / output_step`."""
    return fixed_point(double(steps[0]) * double(steps[1]) / double(output_step))


def multiply(codes: tuple[Any, Any], ratio: Any) -> Any:
    """The product of two codes times `step * step / output_step`.

    tflite-micro, micro/kernels/mul_common.cc and kernels/internal/reference/integer_ops/mul.h.

    >>> from tfopt.kernels.reference._arithmetic import multiply, ratio_of_product
    >>> [int(code) for code in multiply(([5, -6], [1, 2]), ratio_of_product((0.5, 1.0), 0.25))]
    [10, -24]
    """
    left, right = map(whole, codes)
    return times(left * right, ratio)


def ratios_of_squared_difference(
    steps: tuple[Any, Any], output_step: Any, num_bits: int = 8
) -> tuple[Any, Any, Any]:
    """What `squared_difference` multiplies each input with, and what it multiplies the square with."""
    shift = 2.0 ** _SQUARED_SHIFT[num_bits]
    left, right, twice = _to_one_grid(steps)
    return left, right, fixed_point(twice * twice / (shift * shift * double(output_step)))


def squared_difference(codes: tuple[Any, Any], ratios: tuple[Any, Any, Any], num_bits: int = 8) -> Any:
    """`(a - b)**2`: both on the grid of twice the coarser step, `2**7` times as fine; the square is scaled.

    tflite-micro, micro/kernels/squared_difference.cc.

    >>> from tfopt.kernels.reference._arithmetic import ratios_of_squared_difference, squared_difference
    >>> ratios = ratios_of_squared_difference((0.5, 1.0), 0.25)
    >>> [int(code) for code in squared_difference(([5, -6], [1, 2]), ratios)]
    [9, 100]
    """
    left, right = _on_one_grid(codes, ratios, 2 ** _SQUARED_SHIFT[num_bits])
    difference = left - right
    return times(difference * difference, ratios[2])
