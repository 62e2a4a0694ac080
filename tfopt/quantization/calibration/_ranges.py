"""How a range is chosen from the values that calibration saw: pure functions of a histogram.

A range that is too wide wastes codes on outliers, one that is too narrow clips. Each method weighs the two in its
own way.
"""

from collections.abc import Callable

import numpy as np

BINS = 2048
_LEVELS = 256
# Candidate widths of the methods that search: fractions of the range seen.
_WIDTHS = np.linspace(0.1, 1.0, 91)


def percentile_range(counts: np.ndarray, edges: np.ndarray, percentile: float = 99.99) -> tuple[float, float]:
    """The range between the percentiles `100 - p` and `p` of the values (Wu et al. 2020, arXiv 2004.09602).

    Args:
        counts: values in each bin, shape (bins,).
        edges: limits of the bins, shape (bins + 1,).
        percentile: `p`, in percent.

    Returns:
        `(minimum, maximum)`.

    >>> import numpy as np
    >>> from tfopt.quantization.calibration._ranges import percentile_range
    >>> percentile_range(np.array([1, 0, 98, 0, 1]), np.arange(6.0), percentile=98.0)
    (2.0, 3.0)
    """
    share = np.cumsum(counts) / counts.sum()
    first = int(np.searchsorted(share, 1.0 - percentile / 100.0, side="right"))
    last = int(np.searchsorted(share, percentile / 100.0, side="left"))
    return float(edges[first]), float(edges[min(last, len(counts) - 1) + 1])


def mse_range(counts: np.ndarray, edges: np.ndarray) -> tuple[float, float]:
    """The range whose 256 codes have the least mean squared error (Banner et al. 2019, arXiv 1810.05723).

    Args:
        counts: values in each bin, shape (bins,).
        edges: limits of the bins, shape (bins + 1,).

    Returns:
        `(minimum, maximum)`.

    >>> import numpy as np
    >>> from tfopt.quantization.calibration._ranges import mse_range
    >>> counts, edges = np.histogram(np.append(np.linspace(-1, 1, 1_000_000), 10.0), 2048)
    >>> 1 < mse_range(counts, edges)[1] < 5
    True
    """
    return _search(counts, edges, _squared_error)


def kl_range(counts: np.ndarray, edges: np.ndarray) -> tuple[float, float]:
    """The range whose 256 codes keep the distribution best: the least Kullback-Leibler divergence.

    Between the histogram clipped to the range and the same histogram averaged within each code (Migacz 2017,
    "8-bit Inference with TensorRT").

    Args:
        counts: values in each bin, shape (bins,).
        edges: limits of the bins, shape (bins + 1,).

    Returns:
        `(minimum, maximum)`.

    >>> import numpy as np
    >>> from tfopt.quantization.calibration._ranges import kl_range
    >>> counts, edges = np.histogram(np.random.default_rng(0).normal(size=100_000), 2048)
    >>> 2 < kl_range(counts, edges)[1] < 4.5
    True
    """
    return _search(counts, edges, _divergence)


def _search(counts: np.ndarray, edges: np.ndarray, loss: Callable) -> tuple[float, float]:
    """The range with the least loss: the best upper end, then the best lower end for it."""
    counts = counts.astype("float64")
    lo, hi = float(edges[0]), float(edges[-1])
    hi = (
        min((hi * width for width in _WIDTHS), key=lambda end: loss(counts, edges, lo, end)) if hi > 0 else hi
    )
    lo = (
        min((lo * width for width in _WIDTHS), key=lambda end: loss(counts, edges, end, hi)) if lo < 0 else lo
    )
    return float(lo), float(hi)


def _squared_error(counts: np.ndarray, edges: np.ndarray, lo: float, hi: float) -> float:
    centers = (edges[:-1] + edges[1:]) / 2
    lo, hi = min(lo, 0.0), max(hi, 0.0)
    step = max((hi - lo) / (_LEVELS - 1), 1e-12)
    rounded = np.clip(np.round(centers / step) * step, lo, hi)
    # Within a bin values are spread evenly: a bin wider than a step has the full rounding error of a step.
    return float(np.sum(counts * ((centers - rounded) ** 2 + (np.diff(edges) ** 2) / 12)))


def _divergence(counts: np.ndarray, edges: np.ndarray, lo: float, hi: float) -> float:
    centers = (edges[:-1] + edges[1:]) / 2
    step = max((hi - lo) / (_LEVELS - 1), 1e-12)
    codes = np.clip(np.round((centers - lo) / step), 0, _LEVELS - 1).astype(int)
    inside = (centers >= lo) & (centers <= hi)
    # What is clipped piles up in the outermost bins that are left.
    clipped = np.where(inside, counts, 0.0)
    places = np.flatnonzero(inside)
    if not len(places):
        return np.inf
    clipped[places[0]] += counts[: places[0]].sum()
    clipped[places[-1]] += counts[places[-1] + 1 :].sum()
    filled = inside & (counts > 0)
    mass = np.bincount(codes[filled], counts[filled], _LEVELS)
    bins = np.bincount(codes[filled], minlength=_LEVELS)
    spread = np.where(filled, (mass / np.maximum(bins, 1))[codes], 0.0)
    p, q = clipped / clipped.sum(), spread / max(spread.sum(), 1e-12)
    used = p > 0
    return float(np.sum(p[used] * np.log(p[used] / np.maximum(q[used], 1e-9))))


# Name -> the function that chooses the range. "minmax" needs no histogram.
METHODS: dict[str, Callable[..., tuple[float, float]]] = {
    "percentile": percentile_range,
    "mse": mse_range,
    "kl": kl_range,
}
