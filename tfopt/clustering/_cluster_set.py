"""The clusters of one training run: attached to the weights, made anew, counted and removed."""

from collections.abc import Sequence

import keras
import numpy as np
from keras import ops

from tfopt._training_state import (
    chain_of,
    create_state,
    in_force,
    reconcile,
    remove_state,
    synchronize,
    take_off,
    variable_scope,
)
from tfopt.clustering._cluster_weight import recluster, settle
from tfopt.clustering._constraint import CentroidGradients, ClusterConstraint, StraightThrough
from tfopt.clustering._folding import factor_of, find_norms
from tfopt.clustering._targets import Target


class ClusterSet:
    """Clusters for every target. Weights are as they are until the first `cluster`.

    Args:
        model: the model that trains.
        targets: the weights.
        places: how many clusters there are at most, at any time.
        gradient: a key of `GRADIENTS`.
        start: how centroids start.
        seed: of what is drawn.
    """

    def __init__(
        self, model: keras.Model, targets: Sequence[Target], places: int, gradient: str, start: str, seed: int
    ) -> None:
        self.model = model
        self.targets = targets
        self.start = start
        self.seed = seed
        self._norms = find_norms(model)
        for target in targets:
            for link in list(chain_of(target.variable)):
                if isinstance(link, ClusterConstraint):  # left behind by a run that raised an error
                    take_off(target.variable, link)
                    remove_state(model, link.state)
        self._constraints = GRADIENTS[gradient](model, targets, places)
        for target, constraint in zip(targets, self._constraints, strict=True):
            constraint.inner = target.variable.constraint
            target.variable.constraint = constraint

    def cluster(self, count: int, keep_zeros: bool) -> None:
        """Cluster all weights anew."""
        self._read_factors()
        with variable_scope(self.model):
            for index, (target, constraint) in enumerate(zip(self.targets, self._constraints, strict=True)):
                if keep_zeros and isinstance(constraint, StraightThrough):
                    constraint.kept.assign(ops.not_equal(target.variable, 0))
                recluster(target.variable, constraint, count, self.start, self.seed + index)

    def settle(self) -> None:
        """Let the clusters stand as a file would hold them: whole codes, by the batch norms as they are now."""
        self._read_factors()
        with variable_scope(self.model):
            for target, constraint in zip(self.targets, self._constraints, strict=True):
                settle(target.variable, constraint)

    def distinct(self) -> list[int]:
        """The most distinct numbers that a row of each weight holds, in codes where it is clustered in codes."""
        synchronize(self.model)
        counts = []
        for target in self.targets:
            units = np.asarray(target.space.units(target.variable, self._factor(target))[0])
            if target.space.codes:
                units = np.round(units * target.space.largest_code)
            counts.append(max(len(np.unique(row)) for row in units))
        return counts

    def _read_factors(self) -> None:
        reconcile(self.model)
        with variable_scope(self.model):
            for target, constraint in zip(self.targets, self._constraints, strict=True):
                constraint.factor.assign(self._factor(target))

    def _factor(self, target: Target) -> np.ndarray:
        """Of what folding multiplies channels with, that which changes codes: with a step per channel, the sign."""
        factor = factor_of(self._norms.get(id(target.layer)), target.space.channel_count)
        return factor if target.space.one_step else np.sign(factor)

    def check_in_force(self) -> None:
        """Raise if another Clustering callback has taken a weight over."""
        for target, constraint in zip(self.targets, self._constraints, strict=True):
            if not in_force(target.variable, constraint):
                raise ValueError(
                    "The 'where' arguments of two Clustering callbacks in one fit must select different layers. Got "
                    f"'{target.variable.path}' selected by both instead. Give each callback layers of its own."
                )

    def remove(self) -> None:
        """Put the weights' own constraints back."""
        for target, constraint in zip(self.targets, self._constraints, strict=True):
            take_off(target.variable, constraint)
        remove_state(self.model, [variable for one in self._constraints for variable in one.state])


def _common(model: keras.Model, targets: Sequence[Target], places: int) -> list[tuple]:
    spaces = [target.space for target in targets]
    centroids = create_state(
        model, [(space.rows[0], places) for space in spaces], "ones", "float32", "centroids"
    )
    factors = create_state(
        model, [(space.channel_count, 1) for space in spaces], "ones", "float32", "fold_factor"
    )
    with variable_scope(model):
        for one in centroids:
            one.assign(ops.full(one.shape, np.inf))
    return list(zip(spaces, centroids, factors, strict=True))


def _straight_through(model: keras.Model, targets: Sequence[Target], places: int) -> list[ClusterConstraint]:
    shapes = [target.space.shape for target in targets]
    residuals = create_state(model, shapes, "zeros", "float32", "residual")
    kept = create_state(model, shapes, "ones", "bool", "kept")
    common = _common(model, targets, places)
    return [
        StraightThrough(*parts, residual=residual, kept=mask)
        for parts, residual, mask in zip(common, residuals, kept, strict=True)
    ]


def _centroid(model: keras.Model, targets: Sequence[Target], places: int) -> list[ClusterConstraint]:
    indices = create_state(model, [target.space.rows for target in targets], "zeros", "int32", "cluster")
    common = _common(model, targets, places)
    return [CentroidGradients(*parts, index=index) for parts, index in zip(common, indices, strict=True)]


# How gradients move clustered weights.
GRADIENTS = {"straight_through": _straight_through, "centroid": _centroid}
