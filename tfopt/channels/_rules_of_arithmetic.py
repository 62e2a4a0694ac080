"""Rules for operations that compute without weights: element by element, over axes, over several tensors."""

from collections.abc import Sequence

import keras

from tfopt.channels._rules_with_weights import channel_axis
from tfopt.channels._tracer import ChannelTracer, unknown
from tfopt.graph import Node, Tensor


def carry(tracer: ChannelTracer, node: Node) -> None:
    """Works on each element by itself: every axis keeps its channels."""
    for axis, channels in tracer.axes(node.inputs[0]).items():
        tracer.put(node.output, axis, channels)
    for tensor in node.inputs[1:]:
        tracer.pin_axes(tensor, f"{node.path} reads these channels besides its input")


def carry_channels(tracer: ChannelTracer, node: Node) -> None:
    """Works on each channel by itself, across the other axes: pooling, padding, resizing."""
    x = node.inputs[0]
    axis = channel_axis(node.op, x)
    tracer.pin_axes(x, f"{node.path} works along this axis", besides=(axis,))
    tracer.put(node.output, axis, tracer.at(x, axis))


def softmax(tracer: ChannelTracer, node: Node) -> None:
    """Carries all axes except those it sums over."""
    carry(tracer, node)
    axes = getattr(node.op, "axis", -1)
    for axis in axes if isinstance(axes, (list, tuple)) else [-1 if axes is None else axes]:
        tracer.pin(tracer.at(node.inputs[0], axis), f"{node.path} mixes all channels")


def axes_of(node: Node) -> Sequence[int]:
    """The axes that a normalization sums over."""
    return [node.op.axis] if isinstance(node.op.axis, int) else list(node.op.axis)


def global_pool(tracer: ChannelTracer, node: Node) -> None:
    """Keeps the batch and the channels."""
    x = node.inputs[0]
    axis = channel_axis(node.op, x)
    _reduce(tracer, node, [i for i in range(1, len(x.shape)) if i != axis])


def reduce(tracer: ChannelTracer, node: Node) -> None:
    """Mean, sum, maximum over some axes of `keras.ops`."""
    axes = node.op.axis
    axes = range(len(node.inputs[0].shape)) if axes is None else axes
    _reduce(tracer, node, [axes] if isinstance(axes, int) else list(axes))


def _reduce(tracer: ChannelTracer, node: Node, axes: Sequence[int]) -> None:
    x, rank = node.inputs[0], len(node.inputs[0].shape)
    gone = {axis % rank for axis in axes}
    tracer.pin_axes(x, f"{node.path} sums or compares these channels", besides=set(range(rank)) - gone)
    left = [i for i in range(rank) if i not in gone or node.op.keepdims]
    for place, axis in enumerate(left):
        if axis not in gone:
            tracer.put(node.output, place, tracer.at(x, axis))


def tie(tracer: ChannelTracer, node: Node) -> None:
    """Element by element over several tensors: channels at the same position are tied; axes of size 1 are broadcast."""
    out = node.output
    tensors = [leaf for leaf in keras.tree.flatten((node.args, node.kwargs)) if hasattr(leaf, "shape")]
    for axis in range(len(out.shape)):
        parts = []
        for tensor in tensors:
            place = axis - len(out.shape) + len(tensor.shape)
            if place >= 0 and (tensor.shape[place] != 1 or out.shape[axis] == 1):
                parts.append(tracer.at(tensor, place) if isinstance(tensor, Tensor) else None)
        tracer.put(
            out, axis, tracer.join(parts, f"{node.path} combines these channels with channels that stay")
        )


def einsum(tracer: ChannelTracer, node: Node, equation: str | None = None) -> None:
    """Axes with the same letter in the output are tied; those summed over are pinned."""
    equation = (equation or node.op.subscripts).replace(" ", "")
    if "." in equation or "->" not in equation:
        unknown(tracer, node, f"{node.path} has an equation with an ellipsis or without '->'")
        return
    inputs, output = equation.split("->")
    names = inputs.split(",")
    for letter in dict.fromkeys("".join(names)):
        places = [
            (tensor, name.index(letter))
            for tensor, name in zip(node.inputs, names, strict=True)
            if letter in name
        ]
        parts = [tracer.at(tensor, axis) for tensor, axis in places]
        if letter in output:
            joined = tracer.join(parts, f"{node.path} multiplies these channels with others that stay")
            tracer.put(node.output, output.index(letter), joined)
        else:
            for part in parts:
                tracer.pin(part, f"{node.path} sums over these channels")


def matmul(tracer: ChannelTracer, node: Node) -> None:
    """`[..., n, k] x [..., k, m]`: leading axes (heads) are tied, k is pinned."""
    ranks = [len(tensor.shape) for tensor in node.inputs]
    if len(ranks) != 2 or ranks[0] != ranks[1] or ranks[0] < 2:
        for tensor in node.inputs:
            tracer.pin_axes(tensor, f"{node.path} multiplies these channels with others that stay")
        return
    lead = "".join(chr(ord("a") + i) for i in range(ranks[0] - 2))
    einsum(tracer, node, f"{lead}xy,{lead}yz->{lead}xz")


def dot_product_attention(tracer: ChannelTracer, node: Node) -> None:
    """Query, key and value are (batch, length, heads, size): only whole heads can be removed."""
    query, key, value = node.inputs[:3]
    parts = [tracer.at(tensor, 2) for tensor in (query, key, value)]
    for tensor in (query, key, value):
        tracer.pin_axes(tensor, f"{node.path} sums over these channels", besides=(2,))
    for tensor in node.inputs[3:]:
        tracer.pin_axes(tensor, f"{node.path} reads these channels as a mask or bias")
        if tensor.shape[1] != 1:
            parts.append(None)  # a row per head
    tracer.put(node.output, 2, tracer.join(parts, f"{node.path} pairs these heads with heads that stay"))
