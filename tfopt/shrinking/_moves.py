"""Rules for operations without weights that compute: element by element, over axes, over several tensors."""

from collections.abc import Sequence

import keras

from tfopt.graph import Node, Tensor
from tfopt.shrinking._makers import channel_axis
from tfopt.shrinking._walk import Walk, unknown


def carry(walk: Walk, node: Node) -> None:
    """Works on each element by itself: every axis keeps its channels."""
    for axis, channels in walk.axes(node.inputs[0]).items():
        walk.put(node.output, axis, channels)
    for tensor in node.inputs[1:]:
        walk.pin_axes(tensor, f"{node.path} reads them beside its input")


def carry_channels(walk: Walk, node: Node) -> None:
    """Works on each channel by itself, across the other axes: pooling, padding, resizing."""
    x = node.inputs[0]
    axis = channel_axis(node.op, x)
    walk.pin_axes(x, f"{node.path} works along this axis", besides=(axis,))
    walk.put(node.output, axis, walk.at(x, axis))


def softmax(walk: Walk, node: Node) -> None:
    """Carries all axes but those it sums over."""
    carry(walk, node)
    axes = getattr(node.op, "axis", -1)
    for axis in axes if isinstance(axes, (list, tuple)) else [-1 if axes is None else axes]:
        walk.pin(walk.at(node.inputs[0], axis), f"{node.path} mixes all channels")


def global_pool(walk: Walk, node: Node) -> None:
    """Keeps the batch and the channels."""
    x = node.inputs[0]
    axis = channel_axis(node.op, x)
    _reduce(walk, node, [i for i in range(1, len(x.shape)) if i != axis])


def reduce(walk: Walk, node: Node) -> None:
    """Mean, sum, maximum over some axes of `keras.ops`."""
    axes = node.op.axis
    axes = range(len(node.inputs[0].shape)) if axes is None else axes
    _reduce(walk, node, [axes] if isinstance(axes, int) else list(axes))


def _reduce(walk: Walk, node: Node, axes: Sequence[int]) -> None:
    x, rank = node.inputs[0], len(node.inputs[0].shape)
    gone = {axis % rank for axis in axes}
    walk.pin_axes(x, f"{node.path} adds up or compares them", besides=set(range(rank)) - gone)
    left = [i for i in range(rank) if i not in gone or node.op.keepdims]
    for place, axis in enumerate(left):
        if axis not in gone:
            walk.put(node.output, place, walk.at(x, axis))


def tie(walk: Walk, node: Node) -> None:
    """Element by element over several tensors: channels at the same place go together; 1 is broadcast."""
    out = node.output
    tensors = [leaf for leaf in keras.tree.flatten((node.args, node.kwargs)) if hasattr(leaf, "shape")]
    for axis in range(len(out.shape)):
        parts = []
        for tensor in tensors:
            place = axis - len(out.shape) + len(tensor.shape)
            if place >= 0 and (tensor.shape[place] != 1 or out.shape[axis] == 1):
                parts.append(walk.at(tensor, place) if isinstance(tensor, Tensor) else None)
        walk.put(out, axis, walk.join(parts, f"{node.path} combines them with channels that stay"))


def divide(walk: Walk, node: Node) -> None:
    """Carries the numerator; a divisor has to stay, as dividing by a zeroed channel is undefined."""
    if any(walk.axes(tensor) for tensor in node.inputs[1:]) or node.args[0] is not node.inputs[0]:
        for tensor in node.inputs:
            walk.pin_axes(tensor, f"{node.path} divides by them")
    tie(walk, node)


def einsum(walk: Walk, node: Node, equation: str | None = None) -> None:
    """Letters in the output tie the axes they name; what is summed over stays."""
    equation = (equation or node.op.subscripts).replace(" ", "")
    if "." in equation or "->" not in equation:
        unknown(walk, node, f"{node.path} has an equation with an ellipsis or without '->'")
        return
    inputs, output = equation.split("->")
    names = inputs.split(",")
    for letter in dict.fromkeys("".join(names)):
        places = [
            (tensor, name.index(letter))
            for tensor, name in zip(node.inputs, names, strict=True)
            if letter in name
        ]
        parts = [walk.at(tensor, axis) for tensor, axis in places]
        if letter in output:
            joined = walk.join(parts, f"{node.path} multiplies them with others that stay")
            walk.put(node.output, output.index(letter), joined)
        else:
            for part in parts:
                walk.pin(part, f"{node.path} adds them up")


def matmul(walk: Walk, node: Node) -> None:
    """`[..., n, k] x [..., k, m]`: leading axes are tied (heads), k stays."""
    ranks = [len(tensor.shape) for tensor in node.inputs]
    if len(ranks) != 2 or ranks[0] != ranks[1] or ranks[0] < 2:
        for tensor in node.inputs:
            walk.pin_axes(tensor, f"{node.path} multiplies them with others that stay")
        return
    lead = "".join(chr(ord("a") + i) for i in range(ranks[0] - 2))
    einsum(walk, node, f"{lead}xy,{lead}yz->{lead}xz")


def dot_product_attention(walk: Walk, node: Node) -> None:
    """Query, key and value are (batch, length, heads, size): whole heads go."""
    query, key, value = node.inputs[:3]
    parts = [walk.at(tensor, 2) for tensor in (query, key, value)]
    for tensor in (query, key, value):
        walk.pin_axes(tensor, f"{node.path} adds them up", besides=(2,))
    for tensor in node.inputs[3:]:
        walk.pin_axes(tensor, f"{node.path} reads them as a mask or bias")
        if tensor.shape[1] != 1:
            parts.append(None)  # a row per head
    walk.put(node.output, 2, walk.join(parts, f"{node.path} pairs them with heads that stay"))
