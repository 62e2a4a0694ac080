"""Coupled channels: those that meet in an addition, a gate or attention, and so are only removed together."""

from collections.abc import Sequence

import keras
import numpy as np

from tfopt.channels import Group as Channels
from tfopt.channels import Slot, channel_groups
from tfopt.graph import kind
from tfopt.pruning._first_and_last import graphs_of
from tfopt.pruning._group import Group, Member
from tfopt.pruning._layouts import Layout, PickedLayout, layout_of
from tfopt.pruning._patterns import Lanes
from tfopt.pruning._targets import Target, path_of

# Weights that must be zero for the channel to be zero after them: added to it, or scaling what is not zero.
_FOLLOWERS = ("bias", "gamma", "beta")


def coupled_groups(
    model: keras.Model, targets: Sequence[Target]
) -> tuple[list[Group], list[tuple[str, str]], list[Target]]:
    """Groups for the targets whose channels can be removed; coupled layers share a group.

    Args:
        model: the model.
        targets: kernels to prune.

    Returns:
        Groups; pairs (layer path, reason) for targets that stay dense because they are coupled with a layer that does;
        and the targets whose channels cannot be removed or followed, which are pruned one by one.
    """
    selected = {id(target.variable): target for target in targets}
    groups: list[Group] = []
    left: dict[int, tuple[str, str]] = {}
    done: set[int] = set()
    for graph in graphs_of(model):
        channels = channel_groups(graph)
        for units in channels.groups:
            here = [slot for slot in channels.slots if np.isin(slot.units, units.units).any()]
            made = [slot for slot in here if slot.role == "made"]
            kernels = [_variable(slot) for slot in made]
            mine = [selected[id(kernel)] for kernel in kernels if id(kernel) in selected]
            if not mine or not all(_whole(slot, units.units) for slot in made):
                continue
            others = [
                slot.op for slot, kernel in zip(made, kernels, strict=True) if id(kernel) not in selected
            ]
            done.update(id(target.variable) for target in mine)
            if others:
                reason = f"its channels are coupled with those of {path_of(others[0])}, which stays dense"
                left.update((id(target.variable), (path_of(target.layer), reason)) for target in mine)
            else:
                groups.append(_group(units, made, here))
    rest = [target for target in targets if id(target.variable) not in done]
    return groups, list(left.values()), rest


def _group(units: Channels, made: list[Slot], slots: list[Slot]) -> Group:
    carried = [slot for slot in slots if slot.role == "carried" and slot.weight in _FOLLOWERS]
    followers = [slot for slot in carried if _even(slot, units.units)]
    gammas = [slot for slot in followers if slot.weight == "gamma" and kind(slot.op) == "BatchNormalization"]
    return Group(
        Lanes(len(units.units)),
        tuple(_member(slot, units.units) for slot in made),
        tuple(
            _member(slot, units.units)
            for slot in followers
            if slot.op.trainable and _variable(slot).trainable
        ),
        tuple(_member(slot, units.units) for slot in gammas),
    )


def _whole(slot: Slot, units: np.ndarray) -> bool:
    """Whether all slices of a weight belong to these units."""
    return bool(np.isin(slot.units, units).all()) and _even(slot, units)


def _even(slot: Slot, units: np.ndarray) -> bool:
    """Whether all units have the same number of slices of the weight."""
    counts = [int((slot.units == unit).sum()) for unit in units]
    return min(counts) == max(counts)


def _variable(slot: Slot) -> keras.Variable:
    return next(weight for weight in slot.op.weights if weight.name == slot.weight)


def _member(slot: Slot, units: np.ndarray) -> Member:
    """The slices of a weight that belong to the units, unit by unit."""
    variable = _variable(slot)
    order = np.concatenate([np.flatnonzero(slot.units == unit) for unit in units])
    inputs = layout_of(slot.op, variable).inputs if len(variable.shape) > 1 else ()
    shape = tuple(variable.shape)
    inputs = tuple(axis for axis in inputs if axis != slot.axis)
    if np.array_equal(order, np.arange(shape[slot.axis])):
        return Member(slot.op, variable, Layout(shape, inputs, (slot.axis,)))
    return Member(slot.op, variable, PickedLayout(shape, inputs, (slot.axis,), tuple(order.tolist())))
