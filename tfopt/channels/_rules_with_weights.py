"""Rules for layers with weights: how channels index their kernels, biases and scales."""

import math
import re
from collections.abc import Callable
from typing import Any

import numpy as np

from tfopt.channels._channels import CARRIED, READ, variable_of
from tfopt.channels._tracer import ChannelTracer
from tfopt.graph import Node, Operation, Tensor, activation_name, einsum_letters

# Activations that compute each channel from all channels.
_ACROSS_CHANNELS = ("softmax", "log_softmax", "sparsemax", "glu")


def base_name(weight: Any) -> str:
    """A weight's name without the number that Keras gives to weights that were added without one."""
    return re.sub(r"_\d+$", "", weight.name)


def has(op: Operation, weight: str) -> bool:
    """Whether the layer holds a weight of that name."""
    return any(w.name == weight for w in op.weights)


def shape_of(op: Operation, weight: str) -> tuple[int, ...]:
    """The shape of the layer's weight of that name."""
    return tuple(variable_of(op, weight).shape)


def channel_axis(op: Operation, tensor: Tensor) -> int:
    """The axis on which the layer expects channels."""
    return 1 if getattr(op, "data_format", None) == "channels_first" else len(tensor.shape) - 1


def _finish(
    tracer: ChannelTracer, node: Node, axis: int, made: np.ndarray, weights: tuple[str, ...] = ("bias",)
) -> None:
    """Per-channel weights, the activation and the output of a layer that makes channels."""
    for weight in weights:
        if has(node.op, weight):
            tracer.slot(node.op, weight, 0, made, CARRIED)
    name = activation_name(node.op)
    if getattr(node.op, "activation", None) is not None and (name is None or name in _ACROSS_CHANNELS):
        tracer.pin(made, f"the activation of {node.path} mixes channels or is not known")
    tracer.put(node.output, axis, made)


def _others_pinned(tracer: ChannelTracer, node: Node, axis: int) -> None:
    tracer.pin_axes(node.inputs[0], f"{node.path} works along this axis", besides=(axis,))


def _known(tracer: ChannelTracer, node: Node, axis: int) -> np.ndarray:
    """The input's channels on an axis that weights index; if there are none, new channels that are pinned."""
    channels = tracer.at(node.inputs[0], axis)
    if channels is None:
        channels = tracer.stays(node.inputs[0].shape[axis], f"{node.path} reads inputs that stay")
    return channels


def dense(tracer: ChannelTracer, node: Node) -> None:
    """`kernel[in, out]`; all axes but the last pass through."""
    x = node.inputs[0]
    tracer.slot(node.op, "kernel", 0, tracer.at(x, -1), READ)
    for axis, channels in tracer.axes(x).items():
        if axis != len(x.shape) - 1:
            tracer.put(node.output, axis, channels)
    _finish(tracer, node, -1, tracer.made(node.op, "kernel", 1))


def convolution(tracer: ChannelTracer, node: Node) -> None:
    """`kernel[..., in / groups, out]`; in a grouped convolution whole groups are removed, inputs and outputs."""
    op, x = node.op, node.inputs[0]
    axis = channel_axis(op, x)
    _others_pinned(tracer, node, axis)
    shape, groups = shape_of(op, "kernel"), op.groups
    made = tracer.made(op, "kernel", len(shape) - 1)
    read = tracer.at(x, axis)
    if groups == 1:
        tracer.slot(op, "kernel", len(shape) - 2, read, READ)
    elif read is None:
        tracer.pin(made, f"{node.path} has groups that read channels that stay")
    else:
        for channels in (read.reshape(groups, -1), made.reshape(groups, -1)):
            first = read.reshape(groups, -1)[:, :1]
            tracer.tie(np.broadcast_to(first, channels.shape), channels)
    _finish(tracer, node, channel_axis(op, node.output), made)


def transposed(tracer: ChannelTracer, node: Node) -> None:
    """`kernel[..., out, in]`."""
    axis = channel_axis(node.op, node.inputs[0])
    _others_pinned(tracer, node, axis)
    rank = len(shape_of(node.op, "kernel"))
    tracer.slot(node.op, "kernel", rank - 1, tracer.at(node.inputs[0], axis), READ)
    _finish(tracer, node, channel_axis(node.op, node.output), tracer.made(node.op, "kernel", rank - 2))


def depthwise(tracer: ChannelTracer, node: Node) -> None:
    """`kernel[..., in, multiplier]`: each input channel makes `multiplier` outputs, which are tied to it."""
    axis = channel_axis(node.op, node.inputs[0])
    _others_pinned(tracer, node, axis)
    shape = shape_of(node.op, "kernel")
    channels = _known(tracer, node, axis)
    tracer.slot(node.op, "kernel", len(shape) - 2, channels, CARRIED)
    _finish(tracer, node, channel_axis(node.op, node.output), np.repeat(channels, shape[-1]))


def separable(tracer: ChannelTracer, node: Node) -> None:
    """A depthwise kernel, then a pointwise one."""
    axis = channel_axis(node.op, node.inputs[0])
    _others_pinned(tracer, node, axis)
    shape = shape_of(node.op, "depthwise_kernel")
    channels = tracer.at(node.inputs[0], axis)
    tracer.slot(node.op, "depthwise_kernel", len(shape) - 2, channels, READ)
    between = None if channels is None else np.repeat(channels, shape[-1])
    tracer.slot(node.op, "pointwise_kernel", len(shape) - 2, between, READ)
    made = tracer.made(node.op, "pointwise_kernel", len(shape) - 1)
    _finish(tracer, node, channel_axis(node.op, node.output), made)


def einsum_dense(tracer: ChannelTracer, node: Node) -> None:
    """Axes shared with the kernel are read or carried. Of several made axes the first one has channels: heads."""
    op, x = node.op, node.inputs[0]
    left, kernel, output = einsum_letters(op, len(x.shape))
    shape = shape_of(op, "kernel")
    fresh = [letter for letter in output if letter not in left]
    found: dict[str, np.ndarray | None] = {letter: tracer.at(x, axis) for axis, letter in enumerate(left)}
    for letter, channels in found.items():
        if letter in kernel:
            role = CARRIED if letter in output else READ
            tracer.slot(op, "kernel", kernel.index(letter), channels, role)
        elif letter not in output:
            tracer.pin(channels, f"{node.path} sums over this axis")
    if fresh:
        width = math.prod(shape[kernel.index(letter)] for letter in fresh[1:])
        found[fresh[0]] = tracer.made(op, "kernel", kernel.index(fresh[0]), width)
    for axis, letter in enumerate(output):
        tracer.put(node.output, axis, found.get(letter))
    if has(op, "bias"):
        bias = shape_of(op, "bias")
        for axis, letter in enumerate(output[len(output) - len(bias) :]):
            if found.get(letter) is not None and bias[axis] > 1:
                tracer.slot(op, "bias", axis, found[letter], CARRIED)
    name = activation_name(op)
    if getattr(op, "activation", None) is not None and (name is None or name in _ACROSS_CHANNELS):
        tracer.pin_axes(node.output, f"the activation of {node.path} mixes channels or is not known")


def bias_axis(node: Node) -> tuple[int, ...]:
    """The axis of the output that the bias of a convolution or a Dense indexes."""
    return (channel_axis(node.op, node.output),)


def bias_axes(node: Node) -> tuple[int, ...]:
    """The axes that the bias of an EinsumDense indexes, or could index: those that its kernel makes."""
    left, _, output = einsum_letters(node.op, len(node.inputs[0].shape))
    letters = node.op.bias_axes or [letter for letter in output if letter not in left]
    return tuple(output.index(letter) for letter in letters)


def embedding(tracer: ChannelTracer, node: Node) -> None:
    """`embeddings[token, out]`."""
    tracer.pin_axes(node.inputs[0], f"{node.path} uses these channels as indices")
    _finish(tracer, node, -1, tracer.made(node.op, "embeddings", 1))


def per_channel(*weights: str) -> Callable[[ChannelTracer, Node], None]:
    """The rule of layers with vectors that scale or shift channels on `axis` (the last one by default)."""

    def rule(tracer: ChannelTracer, node: Node) -> None:
        x = node.inputs[0]
        axis = getattr(node.op, "axis", -1)
        axis = (axis if isinstance(axis, int) else axis[0]) % len(x.shape)
        for other, channels in tracer.axes(x).items():
            tracer.put(node.output, other, channels)
        held = [w.name for w in node.op.weights if base_name(w) in weights]
        if held:
            here = _known(tracer, node, axis)
            tracer.put(node.output, axis, here)
            for weight in held:
                tracer.slot(node.op, weight, 0, here, CARRIED)

    return rule


def over_channels(tracer: ChannelTracer, node: Node) -> None:
    """Layer and RMS norm: statistics over the last axis, which the table corrects for removed zeros."""
    op, x = node.op, node.inputs[0]
    axes = op.axis if isinstance(op.axis, (list, tuple)) else [op.axis]
    last = len(x.shape) - 1
    if [axis % len(x.shape) for axis in axes] != [last] or getattr(op, "rms_scaling", False):
        tracer.pin_axes(x, f"the statistics of {node.path} run over several axes")
        return
    per_channel("gamma", "beta", "scale")(tracer, node)


def group_norm(tracer: ChannelTracer, node: Node) -> None:
    """Only whole groups are removed, so the statistics of the others do not change."""
    op, x = node.op, node.inputs[0]
    axis = op.axis % len(x.shape)
    reason = f"the statistics of {node.path} run over this axis"
    tracer.pin_axes(x, reason, besides=(axis,))
    channels = tracer.at(x, axis)
    if channels is None:
        return
    groups = len(channels) if op.groups == -1 else op.groups
    if groups == 1:
        tracer.pin(channels, f"the statistics of {node.path} run over all channels")
    grouped = channels.reshape(groups, -1)
    tracer.tie(np.broadcast_to(grouped[:, :1], grouped.shape), grouped)
    per_channel("gamma", "beta")(tracer, node)


def prelu(tracer: ChannelTracer, node: Node) -> None:
    """`alpha` has the input's shape, with 1 for shared axes."""
    shape = shape_of(node.op, "alpha")
    for axis, channels in tracer.axes(node.inputs[0]).items():
        tracer.put(node.output, axis, channels)
    for axis, size in enumerate(shape):
        if size > 1:
            tracer.slot(node.op, "alpha", axis, tracer.at(node.inputs[0], axis + 1), CARRIED)
