"""Channels: which slices of which weights belong to one channel, and so can only be removed together."""

import dataclasses
import functools
from typing import Any

import numpy as np

from tfopt.graph import Graph, Operation, Tensor

# The role of a weight's axis: what it does with the channels that index it.
MADE = "made"  # each index computes a channel: the filters of a convolution
CARRIED = "carried"  # each index scales, shifts or filters one channel: a bias, a batch norm
READ = "read"  # each index is what one channel contributes to others: the input axis of a kernel

STAYS = -1

# Carried weights that become zero with their channel, because a channel of zeros would not be zero behind them: they
# are added to it, or scale what is not zero.
FOLLOWERS = ("bias", "gamma", "beta")


def variable_of(op: Operation, weight: str) -> Any:
    """A layer's weight by its name, or by the end of its path where layers inside hold weights of the same name."""
    held = op.weights  # type: ignore[attr-defined]
    named = [variable for variable in held if variable.name == weight]
    return named[0] if named else next(v for v in held if f"/{v.path}".endswith(f"/{weight}"))


@dataclasses.dataclass(frozen=True, eq=False)
class Slot:
    """One axis of one weight, and the unit that each index on it belongs to.

    Attributes:
        op: the layer that holds the weight.
        weight: the weight's name, such as `"kernel"`; the end of its path where several in the layer have this name.
        axis: the axis, counted from 0.
        units: int array with an entry per index on the axis: the unit's number, or -1 where the index stays.
        role: `"made"`, `"carried"` or `"read"`.
        width: channels per index: 1, or the channels of one attention head.
        gates: indices per channel: 1, or the gates of a recurrent layer.
    """

    op: Operation
    weight: str
    axis: int
    units: np.ndarray
    role: str
    width: int = 1
    gates: int = 1

    @functools.cached_property
    def variable(self) -> Any:
        """The weight itself."""
        return variable_of(self.op, self.weight)

    @property
    def follows(self) -> bool:
        """Whether the weight becomes zero with the channels that it carries."""
        return self.role == CARRIED and self.weight.rsplit("/", 1)[-1] in FOLLOWERS

    def channels(self, indices: int) -> int:
        """How many channels so many indices stand for."""
        return indices * self.width // self.gates


@dataclasses.dataclass(frozen=True, eq=False)
class Group:
    """Units with slices in the same weights, such as the channels of one residual stream.

    Attributes:
        units: int array with the units' numbers, in the order of the channels.
        makers: paths of the layers that compute these channels.
        width: channels of a maker that one unit stands for: 1, or the size of a head or of a convolution's group.
    """

    units: np.ndarray
    makers: tuple[str, ...]
    width: int


@dataclasses.dataclass(frozen=True, eq=False)
class Channels:
    """What can be removed from a graph: units, each a set of weight slices that are removed together.

    Attributes:
        graph: the analysed graph.
        count: the number of units; they are numbered from 0.
        slots: the weight axes that channels index.
        axes: for `id(tensor)`, the axes of that tensor that channels index: `{axis: units}`.
        groups: the units, sorted into groups; every unit is in one.
        reasons: for `id(op)`, why channels that this layer makes cannot be removed; only for layers with such channels.
    """

    graph: Graph
    count: int
    slots: tuple[Slot, ...]
    axes: dict[int, dict[int, np.ndarray]]
    groups: tuple[Group, ...]
    reasons: dict[int, str]

    def without(self, stays: np.ndarray, reasons: dict[int, str]) -> "Channels":
        """The same, but for units that cannot be removed after all.

        Args:
            stays: bool array with an entry per unit.
            reasons: for each such unit, the reason.
        """
        numbers = np.full(self.count + 1, STAYS)
        numbers[:-1][~stays] = np.arange((~stays).sum())
        slots, why = [], dict(self.reasons)
        for slot in self.slots:
            lost = [unit for unit in slot.units.tolist() if unit >= 0 and stays[unit]]
            if lost and slot.role == MADE:
                why[id(slot.op)] = reasons[lost[0]]
            slots.append(dataclasses.replace(slot, units=numbers[slot.units]))
        axes = {
            tensor: {axis: numbers[units] for axis, units in found.items()}
            for tensor, found in self.axes.items()
        }
        return channels_of(self.graph, int((~stays).sum()), slots, axes, why)


def channels_of(
    graph: Graph,
    count: int,
    slots: list[Slot],
    axes: dict[int, dict[int, np.ndarray]],
    reasons: dict[int, str],
) -> Channels:
    """The units of the slots sorted into groups; slots and axes on which every index stays are left out."""
    free = tuple(slot for slot in slots if (slot.units >= 0).any())
    axes = {
        tensor: {axis: units for axis, units in found.items() if (units >= 0).any()}
        for tensor, found in axes.items()
    }
    return Channels(graph, count, free, axes, _groups(graph, count, free), reasons)


def _groups(graph: Graph, count: int, slots: tuple[Slot, ...]) -> tuple[Group, ...]:
    """Units with equally many slices of the same weights go together."""
    paths = {id(node.op): node.path for node in reversed(graph.nodes)}
    places: list[list[tuple[int, int]]] = [[] for _ in range(count)]
    for number, slot in enumerate(slots):
        found, slices = np.unique(slot.units[slot.units >= 0], return_counts=True)
        for unit, many in zip(found.tolist(), slices.tolist(), strict=True):
            places[unit].append((number, many))
    alike: dict[tuple[tuple[int, int], ...], list[int]] = {}
    for unit, here in enumerate(places):
        alike.setdefault(tuple(here), []).append(unit)
    groups = []
    for key, units in alike.items():
        makers = [(slots[number], many) for number, many in key if slots[number].role == MADE]
        if makers:
            names = tuple(dict.fromkeys(paths[id(slot.op)] for slot, _ in makers))
            groups.append(Group(np.array(units), names, max(slot.channels(many) for slot, many in makers)))
    return tuple(groups)


def components(count: int, edges: list[tuple[np.ndarray, np.ndarray]]) -> np.ndarray:
    """The smallest index in each index's connected component.

    Args:
        count: number of indices.
        edges: pairs of equally long index arrays; entry i of one is tied to entry i of the other.

    Returns:
        An int array of length `count`.

    >>> components(5, [(np.array([1, 2]), np.array([2, 4]))]).tolist()
    [0, 1, 1, 3, 1]
    """
    least = np.arange(count)
    if not edges:
        return least
    left, right = (np.concatenate(side) for side in zip(*edges, strict=True))
    while True:
        before = least.copy()
        low = np.minimum(least[left], least[right])
        # The old representatives are lowered too, so that whole components move at once.
        for index in (least[left], least[right], left, right):
            np.minimum.at(least, index, low)
        least = least[least]
        if np.array_equal(before, least):
            return least


class Sizes:
    """The shapes of tensors and weights after units are removed, or the current ones if `kept` is None.

    Args:
        channels: the analysis; None leaves every shape as it is.
        kept: bool array with an entry per unit.
    """

    def __init__(self, channels: Channels | None = None, kept: np.ndarray | None = None) -> None:
        self._axes = channels.axes if channels else {}
        self._slots: dict[int, list[Slot]] = {}
        self._kept = kept
        for slot in channels.slots if channels else ():
            self._slots.setdefault(id(slot.variable), []).append(slot)

    def mask(self, units: np.ndarray) -> np.ndarray:
        """Which entries of an array of units remain."""
        if self._kept is None:
            return np.ones(len(units), bool)
        return np.append(self._kept, True)[units]

    def shape(self, tensor: Tensor) -> tuple[int | None, ...]:
        """The tensor's shape; None for open dimensions."""
        shape = list(tensor.shape)
        for axis, units in self._axes.get(id(tensor), {}).items():
            shape[axis] = int(self.mask(units).sum())
        return tuple(shape)

    def units(self, tensor: Tensor, axis: int) -> np.ndarray | None:
        """The units on a tensor's axis, or None where channels do not index it."""
        return self._axes.get(id(tensor), {}).get(axis)

    def weight(self, op: Operation, weight: Any) -> tuple[int, ...]:
        """The shape of a layer's weight."""
        shape = list(weight.shape)
        for slot in self._slots.get(id(weight), ()):
            shape[slot.axis] = int(self.mask(slot.units).sum())
        return tuple(shape)

    def take(self, op: Operation, weight: Any) -> np.ndarray:
        """The weight's surviving values."""
        values = np.asarray(weight)
        for slot in self._slots.get(id(weight), ()):
            values = np.compress(self.mask(slot.units), values, slot.axis)
        return values
