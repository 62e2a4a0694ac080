"""Batch norm in inference is one multiplication and one addition per channel, which a convolution can absorb."""

from typing import Any

import keras
import numpy as np

from tfopt.graph._graph import Expansion, Graph, Node
from tfopt.graph._kinds import kind

# Layers with a kernel that a batch norm folds into -> the kernel's axes that index output channels.
CHANNEL_AXES = {"Dense": (-1,), "Conv1D": (-1,), "Conv2D": (-1,), "DepthwiseConv2D": (-2, -1)}


def batch_norm_affine(layer: keras.layers.BatchNormalization) -> tuple[np.ndarray, np.ndarray]:
    """`(factor, offset)` per channel with which the layer computes `x * factor + offset` in inference.

    `factor = gamma / sqrt(variance + epsilon)`, `offset = beta - mean * factor` (Ioffe & Szegedy 2015,
    arXiv 1502.03167).

    Args:
        layer: a built batch norm.

    Returns:
        Two float64 arrays of shape (channels,).
    """
    variance = np.asarray(layer.moving_variance, "float64")
    factor = 1.0 / np.sqrt(variance + layer.epsilon)
    if layer.scale:
        factor = factor * np.asarray(layer.gamma, "float64")
    offset = -np.asarray(layer.moving_mean, "float64") * factor
    if layer.center:
        offset = offset + np.asarray(layer.beta, "float64")
    return factor, offset


def folds_into(node: Node, before: Node | None) -> bool:
    """Whether `node` is a batch norm over the last axis right behind a linear layer with a kernel."""
    if before is None or kind(node.op) != "BatchNormalization" or kind(before.op) not in CHANNEL_AXES:
        return False
    is_linear = before.op.activation is keras.activations.linear
    return is_linear and node.op.axis in (-1, len(node.output.shape) - 1) and not node.opaque


def fold_batch_norms(graph: Graph) -> Graph:
    """The graph with each batch norm folded into the convolution or dense layer that feeds it alone.

    `kernel * factor`, `bias * factor + offset`: in inference the outputs are the same to float rounding.

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

    def expand(node: Node) -> Expansion | None:
        if id(node) in folded:
            norm = folded[id(node)]
            layer = _absorb(node.op, norm.op)
            return [Node(layer, node.args, node.kwargs, norm.outputs, node.path)], norm.outputs
        if any(norm is node for norm in folded.values()):
            return [], node.inputs[0]
        return None

    return graph.map_nodes(expand)


def _absorb(layer: keras.layers.Layer, norm: keras.layers.BatchNormalization) -> keras.layers.Layer:
    factor, offset = batch_norm_affine(norm)
    kernel = np.asarray(layer.kernel, "float64")
    kept = kernel.shape[-2:] if len(CHANNEL_AXES[kind(layer)]) == 2 else kernel.shape[-1:]
    bias = np.asarray(layer.bias, "float64") if layer.use_bias else np.zeros_like(factor)
    config: dict[str, Any] = {**layer.get_config(), "use_bias": True}
    new = type(layer).from_config(config)
    new.build_from_config(layer.get_build_config())
    new.set_weights([kernel * factor.reshape(kept), bias * factor + offset])
    return new
