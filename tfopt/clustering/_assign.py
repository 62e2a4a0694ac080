"""Which centroid a number belongs to, and the mean of those that belong to one: on `keras.ops`, in a compiled step."""

import math
from typing import Any

from keras import ops


def nearest(values: Any, centroids: Any) -> Any:
    """The index of the centroid that is nearest to each value, by halving; of two equally near, the lower one.

    Args:
        values: float tensor (groups, n).
        centroids: sorted, (groups, k); places that are not used hold infinity.

    Returns:
        int32 tensor (groups, n).

    >>> import numpy as np
    >>> from tfopt.clustering._assign import nearest
    >>> np.asarray(nearest([[-2.0, 0.4, 0.6, 9.0]], [[-1.0, 0.0, 1.0]])).tolist()
    [[0, 1, 2, 2]]
    """
    values, centroids = ops.convert_to_tensor(values), ops.convert_to_tensor(centroids)
    groups, count = centroids.shape
    bits = max(math.ceil(math.log2(count)), 1)
    size = 2**bits - 1
    borders = (centroids[:, 1:] + centroids[:, :-1]) / 2.0
    borders = ops.pad(borders, ((0, 0), (0, size - count + 1)), constant_values=float("inf"))
    borders = ops.reshape(borders, (-1,))
    first = ops.reshape(ops.arange(groups, dtype="int32") * size, (-1, 1))
    index = ops.zeros_like(values, dtype="int32")
    for bit in reversed(range(bits)):
        half = 2**bit
        above = values > ops.take(borders, first + index + (half - 1))
        index = index + half * ops.cast(above, "int32")
    return index


def at(centroids: Any, index: Any) -> Any:
    """The centroid of each index: (groups, k) and (groups, n) -> (groups, n).

    >>> import numpy as np
    >>> from tfopt.clustering._assign import at
    >>> np.asarray(at(np.array([[1.0, 2.0], [3.0, 4.0]]), np.array([[1], [0]]))).tolist()
    [[2.0], [3.0]]
    """
    return ops.take(ops.reshape(centroids, (-1,)), _places(centroids, index))


def means(values: Any, weights: Any, index: Any, centroids: Any, fixed: Any) -> Any:
    """The weighted mean of the members of each cluster: what the mean of their gradients makes of a centroid.

    Han et al. 2016, arXiv 1510.00149, section 3.3, where centroids follow the sum of their members' gradients.

    Args:
        values: (groups, n).
        weights: how much each counts, of the same shape.
        index: the cluster of each.
        centroids: (groups, k), what a cluster without members keeps.
        fixed: bool, of the same shape: those that do not move.

    >>> import numpy as np
    >>> from tfopt.clustering._assign import means
    >>> c, fixed = np.array([[0.0, 1.0]], "float32"), np.array([[True, False]])
    >>> np.asarray(means(np.array([[1.0, 2.0, 4.0]], "float32"), np.ones((1, 3), "float32"),
    ...     np.array([[0, 1, 1]]), c, fixed)).tolist()
    [[0.0, 3.0]]
    """
    places = ops.reshape(_places(centroids, index), (-1,))
    count = math.prod(centroids.shape)
    mass = _sums(weights, places, count)
    total = _sums(weights * values, places, count)
    moved = ops.reshape(total / ops.where(mass > 0, mass, 1.0), centroids.shape)
    keeps = ops.logical_or(fixed, ops.reshape(mass <= 0, centroids.shape))
    return ops.where(keeps, centroids, moved)


def _sums(values: Any, places: Any, count: int) -> Any:
    return ops.segment_sum(ops.reshape(values, (-1,)), places, num_segments=count)


def _places(centroids: Any, index: Any) -> Any:
    groups, count = centroids.shape
    return index + ops.reshape(ops.arange(groups, dtype="int32") * count, (-1, 1))
