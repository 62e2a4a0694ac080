"""Clusters of a whole weight, made anew outside of the compiled step: at the start, where k changes, at the end."""

from typing import Any

import numpy as np
from keras import ops

from tfopt._replicas import from_chief
from tfopt.clustering._assign import at, nearest
from tfopt.clustering._centroids import kmeans, start_centroids
from tfopt.clustering._constraint import ClusterConstraint
from tfopt.clustering._space import Space

# Digits in units of the largest code: a scale and its inverse lose the last bits.
_DIGITS = 5


def cluster_weight(
    weight: np.ndarray, space: Space, factor: np.ndarray, old: np.ndarray, count: int, start: str, seed: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Centroids of a weight, the cluster of each number, and the weight made of them.

    Args:
        weight: of the space's shape.
        space: the rows to cluster.
        factor: of each channel, (channels, 1).
        old: (rows, places), the centroids so far, to go on from; infinite to start anew.
        count: how many centroids a row may have.
        start: how they start, a key of `STARTS`.
        seed: of what is drawn.

    Returns:
        centroids (rows, places), index (rows, n), and the clustered weight. Where numbers are codes, the centroids are
        whole numbers of them, and zeros are zeros.

    >>> import numpy as np
    >>> from tfopt.clustering._cluster_weight import cluster_weight
    >>> from tfopt.clustering._space import Space
    >>> weight = np.array([[0.9, 2.0], [1.0, 0.0]], "float32")
    >>> old = np.full((1, 3), np.inf, "float32")
    >>> cluster_weight(weight, Space((2, 2), (1,)), np.ones((2, 1)), old, 3, "density", 0)[2].tolist()
    [[0.94..., 2.0], [0.94..., 0.0]]
    """
    tensors = space.units(weight, factor.astype("float32"))
    units, counts = (np.asarray(x, "float64") for x in (tensors[0], space.counts(factor, tensors[1])))
    centroids = np.full(old.shape, np.inf, "float32")
    fixed = np.array(space.fixed)
    for row, numbers in enumerate(units):
        known = old[row][np.isfinite(old[row])]
        alive = numbers != 0
        if not alive.any():
            found = fixed
        else:
            numbers, mass = numbers[alive], counts[row][alive]
            begin = known if len(known) else start_centroids(numbers, mass, fixed, count, start, seed)
            found = kmeans(numbers, mass, begin.astype("float64"), fixed)
        if space.codes:
            found = np.round(found * space.largest_code) / space.largest_code
        centroids[row, : len(found)] = found
    index = nearest(tensors[0], centroids)
    clustered = space.values(at(centroids, index), factor.astype("float32"), tensors[1])
    return centroids, np.asarray(index), np.asarray(clustered, "float32")


def recluster(variable: Any, constraint: ClusterConstraint, count: int, start: str, seed: int) -> None:
    """Cluster a weight in place, anew. Zeros stay."""
    weight = np.asarray(ops.convert_to_numpy(variable), "float32")
    full = np.asarray(constraint.full(weight), "float32")
    factor, old = (np.asarray(ops.convert_to_numpy(x)) for x in (constraint.factor, constraint.centroids))
    made = cluster_weight(full, constraint.space, factor, np.full_like(old, np.inf), count, start, seed)
    _write(variable, constraint, weight, full, made)


def settle(variable: Any, constraint: ClusterConstraint) -> None:
    """Bring a clustered weight to what a file holds: whole codes, by the factors as they are now.

    The values that it has are its centroids, if they are few enough. If not, for other callbacks wrote to it (averages,
    other masks), its centroids are moved from where they were.
    """
    weight = np.asarray(ops.convert_to_numpy(variable), "float32")
    full = np.asarray(constraint.full(weight), "float32")
    factor, old = (np.asarray(ops.convert_to_numpy(x)) for x in (constraint.factor, constraint.centroids))
    known = old.copy()
    units = np.asarray(constraint.space.units(weight, factor)[0])
    units = np.round(units, _DIGITS) if constraint.space.codes else units
    for row, numbers in enumerate(units):
        values = np.unique(np.concatenate([constraint.space.fixed, numbers]))
        if len(values) <= np.isfinite(old[row]).sum():
            known[row] = np.pad(values, (0, old.shape[1] - len(values)), constant_values=np.inf)
    made = cluster_weight(weight, constraint.space, factor, known, 0, "linear", 0)
    _write(variable, constraint, weight, full, made)


def _write(
    variable: Any, constraint: ClusterConstraint, weight: np.ndarray, full: np.ndarray, made: tuple
) -> None:
    centroids, index, clustered = map(np.asarray, from_chief(list(made)))
    # What is zero stays zero: it may just have been pruned.
    clustered = np.where(weight == 0, 0, clustered)
    constraint.centroids.assign(centroids)
    constraint.begin(index, full - clustered)
    variable.assign(clustered)
