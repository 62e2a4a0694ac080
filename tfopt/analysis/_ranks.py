"""Whether two lists of numbers have the same order."""

from collections.abc import Sequence

import numpy as np


def spearman(first: Sequence[float], second: Sequence[float]) -> float | None:
    """Spearman's rank correlation: Pearson's of the ranks, equal numbers sharing the mean of theirs.

    Spearman (1904), "The proof and measurement of association between two things". 1 for the same order, -1 for the
    reverse; None where there are fewer than three pairs, or one list is constant.

    >>> from tfopt.analysis._ranks import spearman
    >>> spearman([1.0, 2.0, 3.0], [10.0, 20.0, 90.0]), spearman([1.0, 2.0, 3.0], [0.0, 0.0, 0.0])
    (1.0, None)
    """
    a, b = _ranks(first), _ranks(second)
    a, b = a - a.mean(), b - b.mean()
    size = float(np.sqrt(np.sum(a**2) * np.sum(b**2)))
    return float(np.sum(a * b)) / size if len(a) > 2 and size > 0 else None


def _ranks(values: Sequence[float]) -> np.ndarray:
    _, places, counts = np.unique(np.asarray(values, "float64"), return_inverse=True, return_counts=True)
    ends = np.cumsum(counts)
    return (ends - (counts - 1) / 2)[places.reshape(-1)]
