"""The masks of one training run: attached to the weights, updated, counted and removed."""

import math
from collections.abc import Callable, Sequence
from typing import Any

import keras
from keras import ops

from tfopt._replicas import from_chief
from tfopt._training_state import in_force, take_off
from tfopt.pruning._backend import (
    compiled,
    count_true,
    host_array,
    remove_masks,
    variable_scope,
)
from tfopt.pruning._budgets import Bounds
from tfopt.pruning._constraint import constraints_for, left_behind
from tfopt.pruning._criteria import Criterion
from tfopt.pruning._group import Group, Member
from tfopt.pruning._masks import apply_mask, regrow_mask, soft_threshold
from tfopt.pruning._scores import Statistics, spread, unit_scores
from tfopt.pruning._select import choose_units
from tfopt.pruning._step_counter import moving_averages, parts_of


class MaskSet:
    """A mask for every weight of the groups. It keeps all weights until the first `prune`.

    Args:
        model: the model that trains.
        groups: its groups.
        criterion: which weights are pruned first.
        scope: how zeros are divided between layers.
        bounds: least and most sparsity of a layer, for the global scope.
        decay: part of a pruned weight that a step takes off it, out of sight; None: pruned weights do not move.
    """

    def __init__(
        self,
        model: keras.Model,
        groups: Sequence[Group],
        criterion: Criterion,
        scope: str,
        bounds: Bounds,
        decay: float | None = None,
    ) -> None:
        self.model = model
        self.groups = groups
        self.criterion = criterion
        self.scope = scope
        self.bounds = bounds
        # A batch norm after a concatenation follows several groups.
        every = [member for group in groups for member in group.members]
        self.members = list({id(member.variable): member for member in every}.values())
        self.kernels = kernels_of(groups)
        self.flips: list[Any] = []  # weights whose mask has changed, a count per update
        self._units: list[Any] = []
        variables = [member.variable for member in self.members]
        remove_masks(model, left_behind(variables))
        self._constraints = constraints_for(model, variables, decay)
        for variable, constraint in zip(variables, self._constraints, strict=True):
            variable.constraint = constraint

    @property
    def size(self) -> int:
        """How many weights are counted."""
        return sum(group.size for group in self.groups)

    def keep_all(self) -> None:
        """Keep all weights."""
        if not self._units:
            return  # masks start like that
        self._units = [ops.ones(group.unit_count, "bool") for group in self.groups]
        self._set_masks()

    def prune(
        self, sparsity: float, statistics: Statistics, before_masking: Callable[[], None] | None = None
    ) -> None:
        """Choose which weights are zero, and make them zero. `before_masking` may change weights in between."""
        with variable_scope(self.model):
            for member, constraint in zip(self.members, self._constraints, strict=True):
                constraint.reveal(member.variable)
        self._choose(choose_units(self.groups, self.criterion, statistics, sparsity, self.scope, self.bounds))
        if before_masking is not None:
            before_masking()
        self._set_masks(shrink=self.criterion.shrinks)

    def regrow(self, part: float, growth: Criterion, statistics: Statistics) -> None:
        """Replace this part of each group's active units by other units."""
        units = []
        for group, active in zip(self.groups, self._units, strict=True):
            kept = int(ops.sum(ops.cast(active, "int32")))
            count = min(round(part * kept), math.prod(active.shape) - kept)
            scores = unit_scores(group, self.criterion, statistics)
            grown = unit_scores(group, growth, statistics)
            units.append(compiled(regrow_mask)(active, scores, grown, ops.convert_to_tensor(count, "int32")))
        self._choose(units)
        self._set_masks()

    def _choose(self, units: list[Any]) -> None:
        # Scores of several workers differ, in what is drawn and in samples; their masks must not.
        with variable_scope(self.model):
            self._units = from_chief(units)

    def _set_masks(self, shrink: bool = False) -> None:
        masks: dict[int, Any] = {}
        for group, units in zip(self.groups, self._units, strict=True):
            for member in group.members:
                mask, key = spread(group, member, units), id(member.variable)
                masks[key] = ops.logical_and(masks[key], mask) if key in masks else mask
        counted = {id(member.variable) for member in self.kernels}
        with variable_scope(self.model):
            for member, constraint in zip(self.members, self._constraints, strict=True):
                mask = masks[id(member.variable)]
                if id(member.variable) in counted:
                    self.flips.append(count_true(_flips, ops.convert_to_tensor(constraint.mask), mask))
                constraint.mask.assign(mask)
                if shrink:
                    weight = ops.convert_to_tensor(member.variable)
                    member.variable.assign(compiled(_shrunk)(weight, mask))
        self._share_units()
        self.apply()

    def _share_units(self) -> None:
        """Let units that are the mask of one kernel be read from it: 100 million of them are 100 MB."""
        masks = {
            id(member): array
            for member, constraint in zip(self.members, self._constraints, strict=True)
            if (array := host_array(ops.convert_to_tensor(constraint.mask))) is not None
        }
        self._units = [
            masks[id(group.kernels[0])].reshape(-1)
            if group.plain and id(group.kernels[0]) in masks
            else units
            for group, units in zip(self.groups, self._units, strict=True)
        ]

    def apply(self) -> None:
        """Set the weights that the masks do not keep to zero."""
        with variable_scope(self.model):
            for member, constraint in zip(self.members, self._constraints, strict=True):
                member.variable.assign(constraint(ops.convert_to_tensor(member.variable)))

    def mask_averages(self) -> bool:
        """Mask the moving averages of the weights and, if there are any, the weights too, which may hold them by now.

        An optimizer with `use_ema` averages the weights before their constraints. Keras and its SwapEMAWeights write
        the averages into the weights.
        """
        averages: dict[int, keras.Variable] = {}
        for optimizer in parts_of(getattr(self.model, "optimizer", None)):
            averages.update(moving_averages(optimizer))
        if not averages:
            return False
        self.apply()
        with variable_scope(self.model):
            for member, constraint in zip(self.members, self._constraints, strict=True):
                average = averages.get(id(member.variable))
                if average is not None:
                    average.assign(apply_mask(average, constraint.mask))
        return True

    def returned(self) -> int:
        """How many weights are not zero although the masks say so."""
        return sum(
            int(count_true(_returned, *map(ops.convert_to_tensor, (member.variable, constraint.mask))))
            for member, constraint in zip(self.members, self._constraints, strict=True)
        )

    def zeros(self) -> list[int]:
        """Zeros in each kernel."""
        return zeros_in(self.kernels)

    def changed(self) -> float:
        """The fraction of weights whose mask has changed since the last call."""
        flips, self.flips = sum(int(count) for count in self.flips), []
        return flips / self.size

    def check_in_force(self) -> None:
        """Raise if another callback has put its own masks on the weights."""
        for member, constraint in zip(self.members, self._constraints, strict=True):
            if not in_force(member.variable, constraint):
                raise ValueError(
                    "The 'where' arguments of two Pruning callbacks in one fit must select different layers. Got "
                    f"'{member.variable.path}' selected by both instead. Give each callback layers of its own."
                )

    def forget(self) -> None:
        """Let pruned weights be nothing but zero: what other callbacks write into weights is not theirs."""
        with variable_scope(self.model):
            for constraint in self._constraints:
                constraint.forget()

    def remove(self) -> None:
        """Put the weights' own constraints back."""
        for member, constraint in zip(self.members, self._constraints, strict=True):
            take_off(member.variable, constraint)
        remove_masks(self.model, [one for constraint in self._constraints for one in constraint.state])


def kernels_of(groups: Sequence[Group]) -> list[Member]:
    """The counted weights of groups, each once: the channels of one kernel may be in several groups."""
    kernels = [member for group in groups for member in group.kernels]
    return list({id(member.variable): member for member in kernels}.values())


def zeros_in(members: Sequence[Member]) -> list[int]:
    """Zeros in each weight."""
    return [int(count_true(_zero, ops.convert_to_tensor(member.variable))) for member in members]


def _zero(weight: Any) -> Any:
    return weight == 0


def _returned(weight: Any, mask: Any) -> Any:
    return (weight != 0) & ~mask


def _flips(old: Any, new: Any) -> Any:
    return old != new


def _shrunk(weight: Any, mask: Any) -> Any:
    """The kept weights, shrunk by the largest weight that is not kept."""
    gone = ops.where(mask, ops.zeros_like(weight), ops.abs(weight))
    return soft_threshold(weight, ops.max(gone))
