"""Ranges that a target restricts: symmetric about zero, or with a step that is a power of two."""

from typing import Any

from tfopt._float32 import next_power_of_two
from tfopt._host_ops import ops
from tfopt.kernels._grids import SMALLEST_STEP


def restrict_range(
    minimum: Any, maximum: Any, num_bits: int = 8, symmetric: bool = False, power_of_two: bool = False
) -> tuple[Any, Any]:
    """The smallest range of the asked form that holds `[minimum, maximum]`.

    Symmetric: zero point 0, `(-2**(b-1) * s, (2**(b-1) - 1) * s)`, as TFLite demands of 16-bit activations. Power of
    two: the step is rounded up to one, so that shifts can rescale sums (Jain et al. 2019, arXiv 1903.08066).

    Args:
        minimum: scalar, lower end of the real values.
        maximum: scalar, upper end.
        num_bits: `b`, bits of a code.
        symmetric: whether the zero point must be 0.
        power_of_two: whether the step must be a power of two.

    Returns:
        `(minimum, maximum)`, not yet nudged.

    >>> from tfopt.kernels._range_shapes import restrict_range
    >>> [float(end) for end in restrict_range(-0.5, 127 / 128, symmetric=True)]
    [-1.0, 0.9921875]
    >>> [float(end) for end in restrict_range(-0.5, 1.27, power_of_two=True)]
    [-0.5, 1.4921875]
    """
    if not (symmetric or power_of_two):
        return minimum, maximum
    steps, half = float(2**num_bits - 1), float(2 ** (num_bits - 1))
    lo = ops.minimum(ops.cast(minimum, "float32"), 0.0)
    hi = ops.maximum(ops.cast(maximum, "float32"), 0.0)
    step = ops.maximum(-lo / half, hi / (half - 1.0)) if symmetric else (hi - lo) / steps
    step = ops.maximum(step, SMALLEST_STEP)
    if power_of_two:
        step = next_power_of_two(step)
    zero_point = half if symmetric else ops.clip(ops.round(-lo / step), 0.0, steps)
    return -zero_point * step, (steps - zero_point) * step
