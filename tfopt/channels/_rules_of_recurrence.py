"""Rules for recurrent layers: a hidden unit has a column in each gate, and a row of the recurrent kernel."""

from typing import Any

import keras
import numpy as np

from tfopt.channels._channels import CARRIED, MADE, READ, Sizes, variable_of
from tfopt.channels._tracer import ChannelTracer, unknown
from tfopt.graph import Node, Tensor, kind

# Columns of the kernels for each hidden unit.
_GATES = {"SimpleRNN": 1, "LSTM": 4, "GRU": 3}


def recurrent(tracer: ChannelTracer, node: Node) -> None:
    """`kernel[in, gates * units]`, `recurrent_kernel[units, gates * units]`, `bias[..., gates * units]`."""
    if node.op.stateful:
        unknown(tracer, node, f"{node.path} is stateful")
        return
    units = _cell(tracer, node, node.op, "")
    states = node.inputs[1:]
    for tensor in states:
        if len(tensor.shape) != 2:
            unknown(tracer, node, f"{node.path} reads these channels as a mask")
            tracer.pin(units, f"{node.path} reads a mask")
            return
    for tensor in states:
        tracer.join([units, tracer.at(tensor, -1)], f"{node.path} starts from states that stay")
    for tensor in _outputs(node):
        tracer.put(tensor, -1, units)


def bidirectional(tracer: ChannelTracer, node: Node) -> None:
    """Two layers of as many units, of which those at the same place are tied; each has weights of its own."""
    op = node.op
    layers = (op.forward_layer, op.backward_layer)
    if len(node.inputs) > 1 or any(kind(layer) not in _GATES or layer.stateful for layer in layers):
        unknown(tracer, node, f"{node.path} wraps another layer than a SimpleRNN, LSTM or GRU, or has states")
        return
    forward, backward = (_cell(tracer, node, layer, _prefix(layer)) for layer in layers)
    tracer.tie(forward, backward)
    for number, tensor in enumerate(_outputs(node)):
        if number or op.merge_mode != "concat":
            tracer.put(tensor, -1, forward)
        else:
            tracer.put(tensor, -1, np.concatenate([forward, backward]))


def _prefix(layer: Any) -> str:
    """How the paths of the weights of a layer inside begin."""
    return f"{layer.name}/{layer.cell.name}/"


def _outputs(node: Node) -> list[Tensor]:
    return keras.tree.flatten(node.outputs)


def _cell(tracer: ChannelTracer, node: Node, layer: Any, prefix: str) -> np.ndarray:
    """The slots of one layer's weights, whose names begin with the prefix; its hidden units."""
    op, gates = node.op, _GATES[kind(layer)]
    made = tracer.made(op, f"{prefix}kernel", 1, gates=gates)
    columns = made.reshape(gates, -1)
    units = columns[0]
    tracer.tie(np.broadcast_to(units, columns.shape), columns)
    tracer.slot(op, f"{prefix}kernel", 0, tracer.at(node.inputs[0], -1), READ)
    for axis, channels in tracer.axes(node.inputs[0]).items():
        if axis != len(node.inputs[0].shape) - 1:
            tracer.pin(channels, f"{node.path} loops over these channels")
    tracer.slot(op, f"{prefix}recurrent_kernel", 1, made, MADE, gates=gates)
    tracer.slot(op, f"{prefix}recurrent_kernel", 0, units, READ)
    if layer.use_bias:
        bias = variable_of(op, f"{prefix}bias")
        tracer.slot(op, f"{prefix}bias", len(bias.shape) - 1, made, CARRIED)
    return units


def config(node: Node, sizes: Sizes) -> dict[str, Any]:
    """The number of hidden units."""
    return {"units": sizes.weight(node.op, variable_of(node.op, "recurrent_kernel"))[0]}


def bidirectional_config(node: Node, sizes: Sizes) -> dict[str, Any]:
    """The number of hidden units of both layers."""
    kernel = variable_of(node.op, f"{_prefix(node.op.forward_layer)}recurrent_kernel")
    units = sizes.weight(node.op, kernel)[0]
    config = {}
    for name in ("layer", "backward_layer"):
        inner = node.op.get_config()[name]
        # Its build_config would build it for as many inputs as before.
        config[name] = {
            **{key: value for key, value in inner.items() if key != "build_config"},
            "config": {**inner["config"], "units": units},
        }
    return config
