"""Rules for operations that move values: joining, splitting, slicing, transposing, reshaping."""

import math
from collections.abc import Sequence
from typing import Any

import keras
import numpy as np

from tfopt.channels._tracer import ChannelTracer, unknown
from tfopt.graph import Node, kind


def concatenate(tracer: ChannelTracer, node: Node) -> None:
    """One after the other on one axis, tied on the others."""
    out, axis = node.output, node.op.axis % len(node.output.shape)
    for other in range(len(out.shape)):
        parts = [tracer.at(tensor, other) for tensor in node.inputs]
        if other != axis:
            tracer.put(
                out, other, tracer.join(parts, f"{node.path} joins these channels with channels that stay")
            )
        elif any(part is not None for part in parts):
            filled = [
                tracer.stays(tensor.shape[axis], "they are the model's inputs") if part is None else part
                for tensor, part in zip(node.inputs, parts, strict=True)
            ]
            tracer.put(out, axis, np.concatenate(filled))


def permute(tracer: ChannelTracer, node: Node) -> None:
    """Transpose, Permute, swapaxes, moveaxis: axes change places."""
    x = node.inputs[0]
    for place, axis in enumerate(_permutation(node, len(x.shape))):
        tracer.put(node.output, place, tracer.at(x, axis))


def _permutation(node: Node, rank: int) -> list[int]:
    """For each axis of the output, the axis of the input."""
    op, name = node.op, kind(node.op)
    if name == "Permute":
        return [0, *op.dims]
    order = list(range(rank))
    if name == "Transpose":
        return order[::-1] if op.axes is None else [axis % rank for axis in op.axes]
    if name == "Swapaxes":
        order[op.axis1], order[op.axis2] = order[op.axis2], order[op.axis1]
        return order
    return _moved(order, op.source, op.destination)


def _moved(order: list[int], source: Sequence[int], destination: Sequence[int]) -> list[int]:
    rank = len(order)
    left = [axis for axis in order if axis not in {s % rank for s in source}]
    for place, axis in sorted((d % rank, s % rank) for s, d in zip(source, destination, strict=True)):
        left.insert(place, axis)
    return left


def reshape(tracer: ChannelTracer, node: Node) -> None:
    """Flatten, Reshape, squeeze, expand_dims: axes are merged and split; channels are followed by element."""
    x, out = node.inputs[0], node.output
    if getattr(node.op, "data_format", None) == "channels_first":
        unknown(tracer, node, f"{node.path} transposes channels_first before it flattens")
        return
    if out.shape[1:].count(None) > 1:
        unknown(tracer, node, f"{node.path} makes several sizes that are open")
        return
    for before, after in matched_axes(x.shape, out.shape):
        labelled = {axis: channels for axis, channels in tracer.axes(x).items() if axis in before}
        if not labelled:
            continue
        sizes = [x.shape[axis] for axis in before]
        if len(labelled) > 1 or None in sizes or not after:
            for channels in labelled.values():
                tracer.pin(channels, f"{node.path} merges these channels with another axis")
            continue
        ((source, channels),) = labelled.items()
        view = [len(channels) if axis == source else 1 for axis in before]
        elements = np.broadcast_to(channels.reshape(view), sizes).reshape([out.shape[axis] for axis in after])
        place = _axis_to_cut(tracer, node, elements, after[0])
        ahead = np.moveaxis(elements, place, 0).reshape(elements.shape[place], -1)
        tracer.tie(np.broadcast_to(ahead[:, :1], ahead.shape), ahead)
        tracer.put(out, after[place], ahead[:, 0].copy())


def _axis_to_cut(tracer: ChannelTracer, node: Node, elements: np.ndarray, first: int) -> int:
    """Where channels are spread over several axes, the axis along which they are removed.

    The axis on which the channels differ while they repeat along all others, if there is one; the one that alone
    becomes the last axis again (a pixel shuffle); the second to last (heads) if attention follows; else the last.
    """
    for axis in range(elements.ndim):
        rows = np.moveaxis(elements, axis, 0).reshape(elements.shape[axis], -1)
        if elements.shape[axis] > 1 and (rows == rows[:, :1]).all():
            return axis
    wide = [axis for axis, size in enumerate(elements.shape) if size > 1] or [elements.ndim - 1]
    alone = _becomes_last(tracer, node)
    if alone is not None and alone - first in wide:
        return alone - first
    return wide[-2] if len(wide) > 1 and _attention_follows(tracer, node) else wide[-1]


def _becomes_last(tracer: ChannelTracer, node: Node) -> int | None:
    """The axis of a reshape's output that is the last axis, by itself, of the next reshape, with only moves between."""
    rank = len(node.output.shape)
    order = list(range(rank))
    reader = tracer.graph.only_consumer(node.output)
    while reader is not None and kind(reader.op) in ("Transpose", "Permute", "Swapaxes", "Moveaxis"):
        order = [order[axis] for axis in _permutation(reader, rank)]
        node, reader = reader, tracer.graph.only_consumer(reader.output)
    if reader is None or kind(reader.op) != "Reshape" or len(reader.output.shape) >= rank:
        return None
    *_, (before, after) = matched_axes(node.output.shape, reader.output.shape)
    return order[before[0]] if len(before) == len(after) == 1 else None


_LOOKED_THROUGH = ("Transpose", "Permute", "Swapaxes", "GetItem", "Split", "Unstack", "Multiply", "Squeeze")


def _attention_follows(tracer: ChannelTracer, node: Node) -> bool:
    pending = [node]
    while pending:
        for tensor in keras.tree.flatten(pending.pop().outputs):
            for reader in tracer.graph.consumers.get(id(tensor), []):
                if kind(reader.op) in ("Matmul", "Einsum", "DotProductAttention"):
                    return True
                if kind(reader.op) in _LOOKED_THROUGH:
                    pending.append(reader)
    return False


def matched_axes(before: Sequence[Any], after: Sequence[Any]) -> list[tuple[list[int], list[int]]]:
    """Runs of axes of two shapes that hold the same elements, as short as can be.

    >>> matched_axes((None, 4, 4, 8), (None, 16, 8))
    [([0], [0]), ([1, 2], [1]), ([3], [2])]
    >>> matched_axes((None, 4, 8), (None, 8))  # positions become samples
    [([0, 1], [0]), ([2], [1])]
    """
    head: list[tuple[list[int], list[int]]] = []
    tail: list[tuple[list[int], list[int]]] = []
    i, j = list(range(len(before))), list(range(len(after)))
    into_batch = folds_batch(before, after)
    while i and j and before[i[0]] == after[j[0]] and not into_batch:
        head.append(([i.pop(0)], [j.pop(0)]))
    while i and j and before[i[-1]] == after[j[-1]]:
        tail.insert(0, ([i.pop()], [j.pop()]))
    if any(before[a] is None for a in i) or any(after[b] is None for b in j):
        middle = [(i, j)]
    else:
        middle = []
        while i or j:
            left, right = i[:1], j[:1]
            i, j = i[1:], j[1:]
            while math.prod(before[a] for a in left) != math.prod(after[b] for b in right):
                if j and (not i or math.prod(before[a] for a in left) > math.prod(after[b] for b in right)):
                    right.append(j.pop(0))
                else:
                    left.append(i.pop(0))
            middle.append((left, right))
    return [*head, *middle, *tail]


def folds_batch(before: Sequence[Any], after: Sequence[Any]) -> bool:
    """Whether axes become part of the batch, or come out of it: a sample has another size than before."""
    samples = before[1:], after[1:]
    return all(None not in sizes for sizes in samples) and math.prod(samples[0]) != math.prod(samples[1])


def key_of(node: Node, rank: int) -> list[Any]:
    """The key of `x[key]` with a slice or an index for each axis of `x`, None for each new axis."""
    key = node.args[1] if len(node.args) > 1 else node.kwargs["key"]
    key = list(key) if isinstance(key, tuple) else [key]
    used = sum(part is not None and part is not Ellipsis for part in key)
    place = next((i for i, part in enumerate(key) if part is Ellipsis), None)
    if place is None:
        return key + [slice(None)] * (rank - used)
    return key[:place] + [slice(None)] * (rank - used) + key[place + 1 :]


def get_item(tracer: ChannelTracer, node: Node) -> None:
    """Slices keep the channels they pick; an index into channels pins them."""
    x = node.inputs[0]
    key = key_of(node, len(x.shape))
    if any(not (part is None or isinstance(part, (int, slice))) for part in key):
        unknown(tracer, node, f"{node.path} picks some of these channels by index")
        return
    axis = place = 0
    for part in key:
        if part is None:
            place += 1
            continue
        channels = tracer.at(x, axis)
        if isinstance(part, slice):
            if channels is not None and part.step in (None, 1):
                tracer.put(node.output, place, channels[part])
            else:
                tracer.pin(channels, f"{node.path} picks some of these channels by index")
            place += 1
        else:
            tracer.pin(channels, f"{node.path} picks some of these channels by index")
        axis += 1


def split(tracer: ChannelTracer, node: Node) -> None:
    """Cuts an axis into runs."""
    x = node.inputs[0]
    cut = node.op.axis % len(x.shape)
    for axis, channels in tracer.axes(x).items():
        parts = [channels] * len(node.outputs)
        if axis == cut:
            ends = np.cumsum([tensor.shape[axis] for tensor in node.outputs])[:-1]
            parts = np.split(channels, ends)
        for tensor, part in zip(node.outputs, parts, strict=True):
            tracer.put(tensor, axis, part)


def repeat(tracer: ChannelTracer, node: Node) -> None:
    """Each element several times: the heads of grouped queries."""
    x = node.inputs[0]
    for axis, channels in tracer.axes(x).items():
        if node.op.axis is None or not isinstance(node.op.repeats, int):
            tracer.pin(channels, f"{node.path} repeats these channels by index")
        elif axis == node.op.axis % len(x.shape):
            tracer.put(node.output, axis, np.repeat(channels, node.op.repeats))
        else:
            tracer.put(node.output, axis, channels)


def repeat_vector(tracer: ChannelTracer, node: Node) -> None:
    """(batch, channels) -> (batch, times, channels)."""
    tracer.put(node.output, 2, tracer.at(node.inputs[0], 1))
