"""Centroids of numbers on a line: where they start, and k-means between centroids that may not move."""

from collections.abc import Callable

import numpy as np

# k-means++ measures distances to every sample; this many tell the shape of any distribution of weights.
_MOST_SAMPLES = 100_000

ITERATIONS = 30


def linear(values: np.ndarray, weights: np.ndarray, fixed: np.ndarray, count: int, seed: int) -> np.ndarray:
    """Evenly spaced over the range of the values: large weights, which are few and matter, get centroids too.

    Han et al. 2016, "Deep Compression", arXiv 1510.00149, section 3.2, which found it the best start.

    >>> import numpy as np
    >>> from tfopt.clustering._centroids import linear
    >>> linear(np.array([0.0, 1.0, 4.0]), np.ones(3), np.zeros(1), 2, seed=0).tolist()
    [0.0, 4.0]
    """
    return np.linspace(values.min(), values.max(), count)


def density(values: np.ndarray, weights: np.ndarray, fixed: np.ndarray, count: int, seed: int) -> np.ndarray:
    """At the quantiles of the values, so that each cluster holds as many (Han et al. 2016, section 3.2).

    >>> import numpy as np
    >>> from tfopt.clustering._centroids import density
    >>> density(np.array([0.0, 0.1, 0.2, 4.0]), np.ones(4), np.zeros(1), 2, seed=0).round(3).tolist()
    [0.075, 1.15]
    """
    return np.quantile(values, (np.arange(count) + 0.5) / count)


def kmeans_plus_plus(
    values: np.ndarray, weights: np.ndarray, fixed: np.ndarray, count: int, seed: int
) -> np.ndarray:
    """Drawn from the values one by one, each with a chance in proportion to its squared distance to those before.

    Arthur & Vassilvitskii 2007, "k-means++: The Advantages of Careful Seeding". The fixed centroids come first.

    >>> import numpy as np
    >>> from tfopt.clustering._centroids import kmeans_plus_plus
    >>> sorted(kmeans_plus_plus(np.array([-1.0, 0.0, 2.0]), np.ones(3), np.zeros(1), 2, seed=0).tolist())
    [-1.0, 2.0]
    """
    random = np.random.default_rng(seed)
    if len(values) > _MOST_SAMPLES:
        chosen = random.choice(len(values), _MOST_SAMPLES, replace=False)
        values, weights = values[chosen], weights[chosen]
    distance = np.min([weights * np.square(values - one) for one in fixed], axis=0)
    found = []
    for _ in range(count):
        total = distance.sum()
        if total <= 0:  # every value is a centroid already
            break
        found.append(values[np.searchsorted(np.cumsum(distance), random.uniform(0, total))])
        distance = np.minimum(distance, weights * np.square(values - found[-1]))
    return np.array(found)


STARTS: dict[str, Callable[[np.ndarray, np.ndarray, np.ndarray, int, int], np.ndarray]] = {
    "kmeans++": kmeans_plus_plus,
    "density": density,
    "linear": linear,
}


def start_centroids(
    values: np.ndarray, weights: np.ndarray, fixed: np.ndarray, count: int, start: str, seed: int
) -> np.ndarray:
    """At most `count` sorted centroids, the fixed ones among them.

    Args:
        values: numbers, (n,).
        weights: how much each counts, (n,).
        fixed: centroids that are given.
        count: how many centroids there may be.
        start: a key of `STARTS`.
        seed: of what is drawn.
    """
    free = STARTS[start](values, weights, fixed, count - len(fixed), seed)
    return np.unique(np.concatenate([fixed, free]))


def kmeans(
    values: np.ndarray,
    weights: np.ndarray,
    centroids: np.ndarray,
    fixed: np.ndarray,
    iterations: int = ITERATIONS,
) -> np.ndarray:
    """Centroids moved to the weighted mean of the values that are nearest to them, until they stand still.

    Lloyd 1982, "Least squares quantization in PCM", on a line: members of a cluster are neighbours once sorted, so an
    iteration takes sums between borders.

    Args:
        values: numbers, (n,).
        weights: how much each counts, (n,).
        centroids: sorted start.
        fixed: which of these values do not move.
        iterations: at most so many.

    Returns:
        As many sorted centroids. One without members stays where it is.

    >>> import numpy as np
    >>> from tfopt.clustering._centroids import kmeans
    >>> kmeans(np.array([0.0, 0.1, 3.0, 5.0]), np.ones(4), np.array([0.0, 1.0]), np.zeros(1)).tolist()
    [0.0, 4.0]
    """
    order = np.argsort(values, kind="stable")
    values = values[order].astype("float64")
    # Sums from the left end up to each border.
    mass = np.concatenate([[0.0], np.cumsum(weights[order], dtype="float64")])
    moment = np.concatenate([[0.0], np.cumsum(weights[order] * values, dtype="float64")])
    centroids = centroids.astype("float64")
    moves = ~np.isin(centroids, fixed)
    for _ in range(iterations):
        borders = np.searchsorted(values, (centroids[1:] + centroids[:-1]) / 2, side="right")
        borders = np.concatenate([[0], borders, [len(values)]])
        members, sums = np.diff(mass[borders]), np.diff(moment[borders])
        moved = np.where(moves & (members > 0), sums / np.where(members > 0, members, 1.0), centroids)
        if np.array_equal(moved, centroids):
            break
        centroids = moved
    return centroids
