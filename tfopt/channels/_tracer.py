"""The tracer: a number for every channel of every tensor, with the record of which numbers are tied or pinned."""

import dataclasses
from collections.abc import Iterable, Sequence

import numpy as np

from tfopt.channels._channels import MADE, STAYS, Channels, Slot, channels_of, components, variable_of
from tfopt.graph import Graph, Node, Operation, Tensor


class ChannelTracer:
    """Follows channels through a graph; the rule of each operation records here what it does with them.

    Channels are numbered, and an axis that channels index has an array of their numbers. Numbers that are tied are
    only removed together; a number that is pinned cannot be removed, and its channel stays.

    Args:
        graph: the graph to follow.
        paths: for `id(op)`, the operation's path in the model.
    """

    def __init__(self, graph: Graph, paths: dict[int, str]) -> None:
        self.graph = graph
        self.paths = paths
        self.count = 0
        self.slots: dict[tuple[int, str, int], Slot] = {}
        self._axes: dict[int, dict[int, np.ndarray]] = {}
        self._edges: list[tuple[np.ndarray, np.ndarray]] = []
        self._pins: list[tuple[np.ndarray, str]] = []

    def new(self, count: int) -> np.ndarray:
        """Numbers for channels not seen before."""
        self.count += count
        return np.arange(self.count - count, self.count)

    def stays(self, count: int, reason: str) -> np.ndarray:
        """Numbers for channels that cannot be removed."""
        channels = self.new(count)
        self.pin(channels, reason)
        return channels

    def axes(self, tensor: Tensor) -> dict[int, np.ndarray]:
        """The tensor's axes that channels index, with their numbers."""
        return self._axes.get(id(tensor), {})

    def at(self, tensor: Tensor, axis: int) -> np.ndarray | None:
        """The channels on one axis, counted from either end, or None."""
        return self.axes(tensor).get(axis % len(tensor.shape))

    def put(self, tensor: Tensor, axis: int, channels: np.ndarray | None) -> None:
        """Records which channels index an axis of an operation's output."""
        if channels is not None:
            self._axes.setdefault(id(tensor), {})[axis % len(tensor.shape)] = channels

    def tie(self, one: np.ndarray, other: np.ndarray) -> None:
        """Makes the channels at the same positions of two arrays be removed together."""
        if one is not other:
            self._edges.append((one.ravel(), other.ravel()))

    def pin(self, channels: np.ndarray | None, reason: str) -> None:
        """Marks channels as not removable."""
        if channels is not None:
            self._pins.append((np.unique(channels), reason))

    def pin_axes(self, tensor: Tensor, reason: str, besides: Iterable[int] = ()) -> None:
        """Pins the channels on all axes of a tensor, or on all except some."""
        for axis, channels in self.axes(tensor).items():
            if axis not in besides:
                self.pin(channels, reason)

    def join(self, parts: Sequence[np.ndarray | None], reason: str) -> np.ndarray | None:
        """Ties arrays of channels; if one of them is None (nothing can be removed there), the others are pinned."""
        known = [part for part in parts if part is not None]
        for part in known:
            self.tie(known[0], part)
            if len(known) < len(parts):
                self.pin(part, reason)
        return known[0] if known else None

    def slot(
        self,
        op: Operation,
        weight: str,
        axis: int,
        channels: np.ndarray | None,
        role: str,
        width: int = 1,
        gates: int = 1,
    ) -> None:
        """Records which channels index an axis of a weight. In a shared layer all calls are tied."""
        size = variable_of(op, weight).shape[axis]
        reason = f"{self.paths[id(op)]} reads inputs that stay"
        if channels is None:
            channels = self.stays(size, reason)
        old = self.slots.setdefault(
            (id(op), weight, axis), Slot(op, weight, axis, channels, role, width, gates)
        )
        self.tie(old.units, channels)

    def made(self, op: Operation, weight: str, axis: int, width: int = 1, gates: int = 1) -> np.ndarray:
        """The channels that a weight axis makes: new ones, or those of the first call of a shared layer."""
        slot = self.slots.get((id(op), weight, axis))
        if slot is None:
            size = variable_of(op, weight).shape[axis]
            self.slot(op, weight, axis, self.new(size), MADE, width, gates)
        return self.slots[id(op), weight, axis].units

    def finish(self) -> Channels:
        """Makes units from channels that are tied, and groups from units with slices in the same weights."""
        roots = components(self.count, self._edges)
        reasons: dict[int, str] = {}
        # The last reason is kept: `where=`, or that the model returns the channels, says more than an operation before.
        for channels, reason in reversed(self._pins):
            for root in np.unique(roots[channels]).tolist():
                reasons.setdefault(root, reason)
        free = np.ones(self.count, bool)
        free[list(reasons)] = False
        free[roots != np.arange(self.count)] = False
        numbers = np.full(self.count, STAYS)
        numbers[free] = np.arange(free.sum())
        units = numbers[roots] if self.count else numbers

        slots, why = [], {}
        for slot in self.slots.values():
            here = units[slot.units]
            if slot.role == MADE and (here == STAYS).any():
                first = slot.units[np.argmax(here == STAYS)]
                why[id(slot.op)] = reasons[int(roots[first])]
            slots.append(dataclasses.replace(slot, units=here))
        axes = {key: {axis: units[at] for axis, at in found.items()} for key, found in self._axes.items()}
        return channels_of(self.graph, int(free.sum()), slots, axes, why)


def unknown(tracer: ChannelTracer, node: Node, reason: str) -> None:
    """The rule for an operation without one: all channels that it reads are pinned, and its outputs have none."""
    for tensor in node.inputs:
        tracer.pin_axes(tensor, reason)
