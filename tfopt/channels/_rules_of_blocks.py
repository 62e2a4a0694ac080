"""Rules for operations that stack tensors, take them apart, pad them, or trade channels for places."""

from typing import Any

import numpy as np

from tfopt.channels._rules_with_weights import channel_axis
from tfopt.channels._tracer import ChannelTracer
from tfopt.graph import Node


def stack(tracer: ChannelTracer, node: Node) -> None:
    """A new axis over tensors whose channels are tied."""
    out = node.output
    new = node.op.axis % len(out.shape)
    for place in range(len(out.shape)):
        if place != new:
            parts = [tracer.at(tensor, place - (place > new)) for tensor in node.inputs]
            reason = f"{node.path} stacks these channels with channels that stay"
            tracer.put(out, place, tracer.join(parts, reason))


def unstack(tracer: ChannelTracer, node: Node) -> None:
    """An axis becomes a list of tensors; the others keep their channels."""
    x = node.inputs[0]
    gone = node.op.axis % len(x.shape)
    tracer.pin(tracer.at(x, gone), f"{node.path} picks these channels by index")
    for axis, channels in tracer.axes(x).items():
        for tensor in node.outputs if axis != gone else ():
            tracer.put(tensor, axis - (axis > gone), channels)


def flip(tracer: ChannelTracer, node: Node) -> None:
    """Axes in reverse order."""
    x, axes = node.inputs[0], node.op.axis
    turned = range(len(x.shape)) if axes is None else [axes] if isinstance(axes, int) else axes
    for axis, channels in tracer.axes(x).items():
        reversed_ = axis in {one % len(x.shape) for one in turned}
        tracer.put(node.output, axis, channels[::-1] if reversed_ else channels)


def pad(tracer: ChannelTracer, node: Node) -> None:
    """`keras.ops.pad`: more places, or more channels, which stay."""
    x = node.inputs[0]
    widths: Any = np.broadcast_to(np.asarray(node.op.pad_width), (len(x.shape), 2))
    for axis, channels in tracer.axes(x).items():
        if widths[axis].any():
            tracer.pin(channels, f"{node.path} pads this axis")
        else:
            tracer.put(node.output, axis, channels)


def depth_to_space(tracer: ChannelTracer, node: Node) -> None:
    """Each output channel has a channel of each place in a block, all tied: channels are (block, block, channels)."""
    x = node.inputs[0]
    axis = channel_axis(node.op, x)
    tracer.pin_axes(x, f"{node.path} works along this axis", besides=(axis,))
    channels = tracer.at(x, axis)
    if channels is not None:
        places = channels.reshape(node.op.block_size**2, -1)
        tracer.tie(np.broadcast_to(places[:1], places.shape), places)
        tracer.put(node.output, axis, places[0])


def space_to_depth(tracer: ChannelTracer, node: Node) -> None:
    """Each input channel makes an output channel for each place in a block."""
    x = node.inputs[0]
    axis = channel_axis(node.op, x)
    tracer.pin_axes(x, f"{node.path} works along this axis", besides=(axis,))
    channels = tracer.at(x, axis)
    if channels is not None:
        tracer.put(node.output, axis, np.tile(channels, node.op.block_size**2))
