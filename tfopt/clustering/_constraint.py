"""The constraint that keeps a weight's values few: Keras applies it in the compiled step, after every update."""

from collections.abc import Callable
from typing import Any

import keras
from keras import ops

from tfopt._training_state import ConstraintChain
from tfopt.clustering._assign import at, means, nearest
from tfopt.clustering._space import Space


class ClusterConstraint(ConstraintChain):
    """Every weight becomes the centroid of its cluster; a weight that is zero stays zero.

    As long as the first centroid is infinite, weights pass as they are.

    Args:
        space: the rows to cluster.
        centroids: variable (rows, k), sorted; infinite where a place is not used.
        factor: variable (channels, 1): what folding multiplies each channel with.
        inner: the weight's constraint so far, or None.
    """

    def __init__(
        self,
        space: Space,
        centroids: keras.Variable,
        factor: keras.Variable,
        inner: Callable[[Any], Any] | None = None,
    ) -> None:
        super().__init__(inner)
        self.space = space
        self.centroids = centroids
        self.factor = factor

    @property
    def state(self) -> list[keras.Variable]:
        """What it keeps."""
        return [self.centroids, self.factor]

    def __call__(self, w: Any) -> Any:
        """The weight as it must be after an update."""
        w = ops.convert_to_tensor(w if self.inner is None else self.inner(w))
        exact = ops.cast(w, "float32")
        is_on = ops.isfinite(self.centroids[0, 0])
        clustered = self.cluster(exact, is_on)
        return ops.cast(ops.where(is_on, ops.where(ops.equal(exact, 0.0), 0.0, clustered), exact), w.dtype)

    def cluster(self, w: Any, is_on: Any) -> Any:
        """The centroid of each weight; called with float32."""
        raise NotImplementedError

    def full(self, w: Any) -> Any:
        """The weights before they were rounded to centroids: what clusters are made from."""
        raise NotImplementedError

    def begin(self, index: Any, rounded_off: Any) -> None:
        """Take over a new clustering: the cluster of each weight, and what rounding took off it."""
        raise NotImplementedError


class StraightThrough(ClusterConstraint):
    """Weights move freely, out of sight, and the layer gets the nearest centroid (Bengio et al. 2013, arXiv 1308.3432).

    After an update `d` of the centroids `c[a]`, with what rounding took off so far, `r`:

        f = c[a] + d + r;  a = nearest(f, c);  c = mean of the f of each cluster;  r = f - c[a]

    Args:
        residual: variable of the weight's shape: `r`.
        kept: bool variable of the weight's shape: False for weights that stay zero.
    """

    def __init__(self, *args: Any, residual: keras.Variable, kept: keras.Variable, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.residual = residual
        self.kept = kept

    @property
    def state(self) -> list[keras.Variable]:
        return [*super().state, self.residual, self.kept]

    def full(self, w: Any) -> Any:
        return w + ops.convert_to_tensor(self.residual)

    def cluster(self, w: Any, is_on: Any) -> Any:
        space, factor = self.space, ops.convert_to_tensor(self.factor)
        is_zero = ops.logical_or(ops.equal(w, 0.0), ops.logical_not(self.kept))
        full = ops.where(is_zero, 0.0, self.full(w))
        units, scale = space.units(full, factor)
        centroids = ops.convert_to_tensor(self.centroids)
        index = nearest(units, centroids)
        moved = means(units, space.counts(factor, scale), index, centroids, space.is_fixed(centroids))
        rounded = space.values(at(moved, index), factor, scale)
        self.centroids.assign(ops.where(is_on, moved, centroids))
        self.residual.assign(ops.where(ops.logical_and(is_on, ops.logical_not(is_zero)), full - rounded, 0.0))
        return ops.where(is_zero, 0.0, rounded)

    def begin(self, index: Any, rounded_off: Any) -> None:
        self.residual.assign(rounded_off)


class CentroidGradients(ClusterConstraint):
    """Weights keep their cluster, and move with the mean of their updates (Han et al. 2016, arXiv 1510.00149).

    Args:
        index: int variable (rows, n): the cluster of each weight.
    """

    def __init__(self, *args: Any, index: keras.Variable, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.index = index

    @property
    def state(self) -> list[keras.Variable]:
        return [*super().state, self.index]

    def full(self, w: Any) -> Any:
        return w

    def cluster(self, w: Any, is_on: Any) -> Any:
        space, factor = self.space, ops.convert_to_tensor(self.factor)
        index, centroids = ops.convert_to_tensor(self.index), ops.convert_to_tensor(self.centroids)
        matrix, alive = space.matrix(w), ops.not_equal(space.matrix(w), 0.0)
        old = at(centroids, index)
        ends = ops.logical_and(ops.equal(ops.abs(old), 1.0), ops.reshape(alive, space.rows))
        scale = space.mean_scale(matrix, factor, ends, before=space.units(w, factor)[1])
        counts = space.counts(factor, scale) * ops.cast(ops.reshape(alive, space.rows), "float32")
        units = space.in_units(matrix, factor, scale)
        moved = means(units, counts, index, centroids, space.is_fixed(centroids))
        # An inactive clustering has every weight in the first cluster, whose centroid is infinite.
        self.centroids.assign(ops.where(is_on, moved, centroids))
        return space.values(at(moved, index), factor, scale)

    def begin(self, index: Any, rounded_off: Any) -> None:
        self.index.assign(index)
