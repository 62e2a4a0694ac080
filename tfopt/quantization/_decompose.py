"""Decomposition: what TFLite computes in several kernels becomes several operations, each with a grid of its own."""

from collections.abc import Callable
from typing import Any

import keras
from keras import layers

from tfopt.graph import Expansion, Graph, Node, Tensor, kind


def decompose(graph: Graph) -> Graph:
    """The graph with each operation of the table below taken apart.

    Args:
        graph: a graph whose activations are split (`split_activations`).

    Returns:
        A graph that computes the same to float rounding.
    """
    return graph.map_nodes(lambda node: None if node.opaque else TABLE.get(kind(node.op), _keep)(node))


def _keep(node: Node) -> Expansion | None:
    return None


class _Chain:
    """Calls new layers one after the other in the place of a node."""

    def __init__(self, node: Node) -> None:
        self.node = node
        self.nodes: list[Node] = []

    def call(self, layer: layers.Layer, *inputs: Tensor) -> Tensor:
        """The output of `layer` on tensors of the graph; several are passed as a list, as merging layers take."""
        shapes = [tensor.shape for tensor in inputs]
        shape = layer.compute_output_shape(shapes[0] if len(inputs) == 1 else shapes)
        output = keras.KerasTensor(shape, inputs[0].dtype)
        argument: Any = inputs[0] if len(inputs) == 1 else list(inputs)
        self.nodes.append(Node(layer, (argument,), {}, output, f"{self.node.path}/{layer.name}"))
        return output

    def name(self, part: str) -> str:
        """A name for a part of the node's operation."""
        return f"{self.node.op.name}_{part}"


def _hard_sigmoid_parts(chain: _Chain, x: Tensor) -> Tensor:
    """`relu6(x + 3) / 6`."""
    shifted = chain.call(layers.Rescaling(1.0, 3.0, name=chain.name("plus_3")), x)
    clipped = chain.call(layers.ReLU(6.0, name=chain.name("relu6")), shifted)
    return chain.call(layers.Rescaling(1.0 / 6.0, name=chain.name("over_6")), clipped)


def _hard_sigmoid(node: Node) -> Expansion:
    chain = _Chain(node)
    return chain.nodes, _hard_sigmoid_parts(chain, node.inputs[0])


def _hard_silu(node: Node) -> Expansion:
    """`x * relu6(x + 3) / 6` (Howard et al. 2019, arXiv 1905.02244)."""
    chain = _Chain(node)
    gate = _hard_sigmoid_parts(chain, node.inputs[0])
    return chain.nodes, chain.call(layers.Multiply(name=chain.name("times")), node.inputs[0], gate)


def _silu(node: Node) -> Expansion:
    """`x * sigmoid(x)` (Ramachandran et al. 2017, arXiv 1710.05941)."""
    chain = _Chain(node)
    gate = chain.call(layers.Activation("sigmoid", name=chain.name("sigmoid")), node.inputs[0])
    return chain.nodes, chain.call(layers.Multiply(name=chain.name("times")), node.inputs[0], gate)


def _separable(node: Node) -> Expansion:
    """A depthwise convolution and a pointwise one; the second keeps the layer's name, activation and bias."""
    chain, layer = _Chain(node), node.op
    two = kind(layer) == "SeparableConv2D"
    common = {"data_format": layer.data_format, "dtype": layer.dtype_policy, "trainable": layer.trainable}
    depthwise = (layers.DepthwiseConv2D if two else layers.DepthwiseConv1D)(
        layer.kernel_size if two else layer.kernel_size[0],
        strides=layer.strides if two else layer.strides[0],
        padding=layer.padding,
        dilation_rate=layer.dilation_rate if two else layer.dilation_rate[0],
        depth_multiplier=layer.depth_multiplier,
        depthwise_regularizer=layer.depthwise_regularizer,
        depthwise_constraint=layer.depthwise_constraint,
        use_bias=False,
        name=chain.name("depthwise"),
        **common,
    )
    pointwise = (layers.Conv2D if two else layers.Conv1D)(
        layer.filters,
        1,
        use_bias=layer.use_bias,
        activation=layer.activation,
        kernel_regularizer=layer.pointwise_regularizer,
        kernel_constraint=layer.pointwise_constraint,
        bias_regularizer=layer.bias_regularizer,
        bias_constraint=layer.bias_constraint,
        name=layer.name,
        **common,
    )
    depthwise.build(node.inputs[0].shape)
    middle = chain.call(depthwise, node.inputs[0])
    pointwise.build(middle.shape)
    first, *rest = layer.get_weights()
    depthwise.set_weights([first])
    pointwise.set_weights(rest)
    return chain.nodes, chain.call(pointwise, middle)


def _average(node: Node) -> Expansion | None:
    """The mean of several tensors: a sum and a multiplication."""
    if len(node.inputs) < 2:
        return None
    chain = _Chain(node)
    total = _sum(chain)
    scale = layers.Rescaling(1.0 / len(node.inputs), name=chain.name("over_n"))
    return chain.nodes, chain.call(scale, total)


def _pairwise_sum(node: Node) -> Expansion | None:
    """A sum of more than two tensors: TFLite adds two at a time, and rounds after each."""
    if len(node.inputs) < 3:
        return None
    chain = _Chain(node)
    return chain.nodes, _sum(chain)


def _sum(chain: _Chain) -> Tensor:
    total = chain.node.inputs[0]
    for index, tensor in enumerate(chain.node.inputs[1:]):
        total = chain.call(layers.Add(name=chain.name(f"sum_{index}")), total, tensor)
    return total


# The kind of an operation (see `tfopt.graph.kind`) -> the function that takes it apart, or returns None to keep it.
TABLE: dict[str, Callable[[Node], Expansion | None]] = {
    "Add": _pairwise_sum,
    "Average": _average,
    "SeparableConv1D": _separable,
    "SeparableConv2D": _separable,
    "hard_sigmoid": _hard_sigmoid,
    "hard_silu": _hard_silu,
    "silu": _silu,
}
