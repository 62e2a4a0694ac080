"""Coupled channels: those that meet in an addition, a gate or attention, and so are only removed together."""

from collections.abc import Sequence

import keras
import numpy as np

from tfopt.channels import Group as Channels
from tfopt.channels import Slot, channel_groups, exactly_removable
from tfopt.graph import kind
from tfopt.pruning._first_and_last import graphs_of
from tfopt.pruning._group import Group, Member
from tfopt.pruning._layouts import Layout, PickedLayout, layout_of
from tfopt.pruning._patterns import Lanes
from tfopt.pruning._targets import Target, path_of


def coupled_groups(
    model: keras.Model, targets: Sequence[Target]
) -> tuple[list[Group], list[tuple[str, str]], list[Target]]:
    """Groups for the targets whose channels can be removed; coupled layers share a group.

    A kernel has channels in several groups where they part behind it, as behind a split of which one half meets others
    in an addition. Channels of it that cannot be removed make a group of their own.

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
    done: dict[int, Slot] = {}
    for graph in graphs_of(model):
        channels = exactly_removable(channel_groups(graph), weights="any")
        for units in channels.groups:
            here = [slot for slot in channels.slots if np.isin(slot.units, units.units).any()]
            made = [slot for slot in here if slot.role == "made"]
            kernels = [slot.variable for slot in made]
            mine = [selected[id(kernel)] for kernel in kernels if id(kernel) in selected]
            if not mine:
                continue
            others = [
                slot.op for slot, kernel in zip(made, kernels, strict=True) if id(kernel) not in selected
            ]
            done.update((id(kernel), slot) for kernel, slot in zip(kernels, made, strict=True))
            if others:
                reason = f"its channels are coupled with those of {path_of(others[0])}, which stays dense"
                left.update((id(target.variable), (path_of(target.layer), reason)) for target in mine)
            else:
                groups.append(_group(units, made, here))
    for target in targets:
        if (slot := done.get(id(target.variable))) is not None and (slot.units < 0).any():
            groups.append(_rest_of(slot))
    rest = [target for target in targets if id(target.variable) not in done]
    return groups, list(left.values()), rest


def _group(units: Channels, made: list[Slot], slots: list[Slot]) -> Group:
    followers = [slot for slot in slots if slot.follows]
    gammas = [slot for slot in followers if slot.weight == "gamma" and kind(slot.op) == "BatchNormalization"]
    return Group(
        Lanes(len(units.units)),
        tuple(_member(slot, units.units) for slot in made),
        tuple(
            _member(slot, units.units) for slot in followers if slot.op.trainable and slot.variable.trainable
        ),
        tuple(_member(slot, units.units) for slot in gammas),
    )


def _rest_of(slot: Slot) -> Group:
    """The channels of a kernel that cannot be removed, with their biases, one by one."""
    fixed = tuple(np.flatnonzero(slot.units < 0).tolist())
    kernel = _member(slot, np.array([-1]))
    followers = []
    for weight in slot.op.weights:
        if weight.name == "bias" and weight.trainable and weight.shape == (len(slot.units),):
            followers.append(Member(slot.op, weight, PickedLayout(tuple(weight.shape), (), (0,), fixed)))
    return Group(Lanes(len(fixed)), (kernel,), tuple(followers))


def _member(slot: Slot, units: np.ndarray) -> Member:
    """The slices of a weight that belong to the units, unit by unit."""
    variable = slot.variable
    order = np.concatenate([np.flatnonzero(slot.units == unit) for unit in units])
    inputs = layout_of(slot.op, variable).inputs if len(variable.shape) > 1 else ()
    shape = tuple(variable.shape)
    inputs = tuple(axis for axis in inputs if axis != slot.axis)
    if np.array_equal(order, np.arange(shape[slot.axis])):
        return Member(slot.op, variable, Layout(shape, inputs, (slot.axis,)))
    return Member(slot.op, variable, PickedLayout(shape, inputs, (slot.axis,), tuple(order.tolist())))
