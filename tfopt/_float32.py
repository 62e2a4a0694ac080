"""Rounding rules that the simulation of int8 shares with the code that writes int8 files and makes their inputs."""

from typing import Any

import numpy as np

from tfopt._host_ops import ops

# In steps of a grid: a value this little below a half counts as a half, and is rounded up. Inputs such as k/16 on a
# grid of 1/255 lie exactly on halves, and rounding errors of float32 would send them up in one place and down in
# another.
HALF_WINDOW = 2.0**-14

# A scale with fewer binary digits would change a range too much; codes of 16 bits do not need exact products.
_FEWEST_DIGITS = 12

# log2 of an exact power of two may be a rounding error too high.
_LOG_WINDOW = 1e-5

# Types of mixed precision: no integer kernel rounds like them.
HALF_FLOATS = ("float16", "bfloat16")

_POWERS = 2.0 ** np.arange(-126, 128).astype("float32")


def float32(x: Any) -> Any:
    """A variable, tensor or number as a float32 tensor."""
    return ops.cast(ops.convert_to_tensor(x), "float32")


def exactly(x: Any) -> Any:
    """The same numbers, rounded to float32 before anything else is done with them.

    A compiler may merge two operations, `a / b / c` into `a / (b * c)` or a product and a sum into one, and then rounds
    once where the host rounds twice. XLA does not merge across a choice that depends on the numbers.
    """
    x = ops.cast(x, "float32")
    return ops.where(ops.equal(x, x), x, 0.0)


def power_of_two(exponent: Any) -> Any:
    """`2 ** exponent`, to the last bit, for a tensor of whole numbers in [-126, 127]."""
    return ops.take(_POWERS, ops.cast(ops.clip(exponent + 126, 0, len(_POWERS) - 1), "int32"))


def next_power_of_two(scale: Any) -> Any:
    """The smallest power of two that is not below a positive tensor.

    >>> from tfopt._float32 import next_power_of_two
    >>> [float(next_power_of_two(scale)) for scale in (0.25, 0.3, 5.0)]
    [0.25, 0.5, 8.0]
    """
    return power_of_two(ops.ceil(ops.log2(scale) - _LOG_WINDOW))


def coarse(scale: Any, code_bits: int = 8) -> Any:
    """A scale rounded to so few digits that every code times it is a float32 without rounding.

    A file holds scales that the converter finds from real numbers: the ends of a range, the largest weight. These are
    whole multiples of the scale, and if they are exact, the scale found is this one, bit for bit. It moves by at most
    `2**-15` of itself for codes of 8 bits.

    Args:
        scale: positive float32 tensor of any shape.
        code_bits: bits of the codes that it will be multiplied by.

    Returns:
        A tensor of the same shape.

    >>> from tfopt._float32 import coarse
    >>> float(coarse(0.1)), float(coarse(0.1) * 255 / 255) == float(coarse(0.1))
    (0.0999984..., True)
    """
    scale = ops.convert_to_tensor(scale, "float32")
    # The logarithm may be off by a digit next to a power of two, so one digit is kept in reserve.
    digits = max(22 - code_bits, _FEWEST_DIGITS)
    unit = power_of_two(ops.floor(ops.log2(scale)) - digits)
    return ops.round(scale / unit) * unit
