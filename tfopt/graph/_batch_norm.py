"""Folding: a batch norm right after a convolution or dense layer becomes part of its kernel and bias."""

from typing import Any

import keras
import numpy as np

from tfopt.graph._affine import affine_of
from tfopt.graph._graph import Expansion, Graph, Node
from tfopt.graph._kinds import kind

# Layers with a kernel that a batch norm folds into -> the kernel's axes that index output channels.
CHANNEL_AXES: dict[str, tuple[int, ...]] = {
    "Dense": (-1,),
    "Conv1D": (-1,),
    "Conv2D": (-1,),
    "Conv1DTranspose": (-2,),
    "Conv2DTranspose": (-2,),
    "DepthwiseConv1D": (-2, -1),
    "DepthwiseConv2D": (-2, -1),
}


def folds_into(node: Node, before: Node | None) -> bool:
    """Whether `node` is a batch norm over the last axis right after a linear layer with a kernel."""
    if before is None or kind(node.op) != "BatchNormalization" or kind(before.op) not in CHANNEL_AXES:
        return False
    is_linear = before.op.activation is keras.activations.linear
    return is_linear and node.op.axis in (-1, len(node.output.shape) - 1) and not node.opaque


def fold_batch_norms(graph: Graph) -> Graph:
    """The graph with each batch norm folded into the layer before it, if nothing else reads that layer.

    `kernel * factor`, `bias * factor + offset`: in inference the outputs are the same up to float rounding.

    Args:
        graph: a graph of stock layers.

    Returns:
        A graph in which folded layers are new ones; the old layers are not changed.
    """
    folded = {}
    for node in graph.nodes:
        before = graph.producers.get(id(node.inputs[0])) if node.inputs else None
        if before is not None and folds_into(node, before) and graph.only_consumer(before.output) is node:
            folded[id(before)] = node

    gone = {id(norm) for norm in folded.values()}

    def expand(node: Node) -> Expansion | None:
        if id(node) in folded:
            norm = folded[id(node)]
            layer = _absorb(node.op, norm)
            return [Node(layer, node.args, node.kwargs, norm.outputs, node.path)], norm.outputs
        if id(node) in gone:
            return [], node.inputs[0]
        return None

    return graph.map_nodes(expand)


def _absorb(layer: keras.layers.Layer, norm: Node) -> keras.layers.Layer:
    affine = affine_of(norm)
    if affine is None:
        raise ValueError(f"{norm.path!r} is not affine over the last axis.")
    factor, offset = affine
    # In float32, one multiplication per weight: a caller that does the same finds the same largest weight.
    factor, offset = factor.astype("float32"), offset.astype("float32")
    kernel = np.asarray(layer.kernel, "float32")
    axes = {axis % kernel.ndim for axis in CHANNEL_AXES[kind(layer)]}
    along = [size if axis in axes else 1 for axis, size in enumerate(kernel.shape)]
    bias = np.asarray(layer.bias, "float32") if layer.use_bias else np.zeros_like(factor)
    config: dict[str, Any] = {**layer.get_config(), "use_bias": True}
    new = type(layer).from_config(config)
    new.build_from_config(layer.get_build_config())
    new.set_weights([kernel * factor.reshape(along), bias * factor + offset])
    return new
