"""What a grid leaves of the values that are rounded to it: pure functions of ranges and steps."""

import math

import numpy as np


def codes_used(part: tuple[float, float], step: float) -> float:
    """How many codes of a grid lie in a range.

    Args:
        part: the ends of the range.
        step: size of a step of the grid.

    >>> codes_used((0.0, 1.0), 0.25)
    5.0
    """
    return (part[1] - part[0]) / step + 1.0


def effective_bits(part: tuple[float, float], step: float) -> float:
    """The bits of a grid that would give a range as many codes as it has of another grid: `log2(codes)`.

    Scores from 0 to 1 on the grid of boxes from 0 to 60 keep 2.4 of their 8 bits.

    Args:
        part: the ends of the range.
        step: size of a step of the grid.

    >>> round(effective_bits((0.0, 60.0), 60 / 255)), round(effective_bits((0.0, 1.0), 60 / 255), 1)
    (8, 2.4)
    """
    return math.log2(codes_used(part, step))


def rounding_db(mean_square: float, step: float) -> float:
    """The size of values over the error of rounding them, in decibels: `10 log10(mean(x^2) / (step^2 / 12))`.

    The error of rounding to the nearest of equal steps is spread evenly over a step (Bennett 1948, "Spectra of
    quantized signals"). What is clipped comes on top.

    Args:
        mean_square: mean of the squared values.
        step: size of a step of their grid.

    >>> round(rounding_db(1 / 3, 1 / 128), 1)
    48.2
    """
    return 10.0 * math.log10(12.0 * mean_square / step**2) if mean_square > 0 else 0.0


# A sample that reaches this many times as far as the usual one, where no more than this share of the samples do.
_FAR, _SHARE = 20.0, 0.02


def outliers(reach: np.ndarray) -> tuple[np.ndarray, float]:
    """The samples that reach much farther than the rest: they alone make the range, and a wide step.

    Args:
        reach: the largest absolute value of each sample, shape (samples,).

    Returns:
        Their indices, and how many times the median the farthest reaches. None where many reach far: such is the data.

    >>> outliers(np.array([1.0, 2.0, 1.5, 1.0, 500.0] + 45 * [1.0]))
    (array([4]), 500.0)
    """
    usual = float(np.median(reach))
    far = np.flatnonzero(reach > _FAR * usual) if usual > 0 else np.empty(0, int)
    if not len(far) or len(far) > max(1, _SHARE * len(reach)) or len(reach) < 3:
        return np.empty(0, int), 1.0
    return far, float(reach.max() / usual)
