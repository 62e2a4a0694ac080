"""Edges: which layers are the first and the last of a model, and which batch norm follows which layer."""

import dataclasses

import keras

from tfopt.graph import Graph, Node, capture, flatten_layers, kind, own_weights, sublayers

_CONVOLUTIONS = (keras.layers.Conv1D, keras.layers.Conv2D, keras.layers.Conv3D)


@dataclasses.dataclass(frozen=True)
class Edges:
    """The first and last layers of a model and the batch norms, by `id(layer)`.

    Attributes:
        first: convolutions that read the model's inputs, with no other kernel in between.
        last: layers with a kernel and with no other kernel after them.
        norms: the batch norm over a layer's output channels, if nothing else reads the layer's output.
    """

    first: frozenset[int]
    last: frozenset[int]
    norms: dict[int, keras.layers.BatchNormalization]


def find_edges(model: keras.Model) -> Edges:
    """The edges of a model, or of the models inside it if it cannot be captured itself (a `Distiller`).

    If no call graph can be read, the order in which layers were made is used, and no batch norm is known.
    """
    graphs = graphs_of(model)
    if not graphs:
        layers = [layer for layer in flatten_layers(model) if _has_kernel(layer)]
        convolutions = [id(layer) for layer in layers if isinstance(layer, _CONVOLUTIONS)]
        return Edges(frozenset(convolutions[:1]), frozenset(id(layer) for layer in layers[-1:]), {})
    first: set[int] = set()
    last: set[int] = set()
    norms: dict[int, keras.layers.BatchNormalization] = {}
    for graph in graphs:
        first |= _first(graph)
        last |= _last(graph)
        norms.update(_norms(graph))
    return Edges(frozenset(first), frozenset(last), norms)


def graphs_of(model: keras.Model) -> list[Graph]:
    """The graph of a model, or those of the models inside if it cannot be captured itself; empty if none can."""
    try:
        return [capture(model)]
    except (ValueError, TypeError):
        inner = [layer for layer in sublayers(model) if isinstance(layer, keras.Model) and layer.built]
        return [graph for one in inner for graph in graphs_of(one)]


def _has_kernel(op: keras.Operation) -> bool:
    weights = op.weights if isinstance(op, keras.layers.Layer) else []
    return any(len(weight.shape) >= 2 for weight in weights)


def _first(graph: Graph) -> set[int]:
    behind: set[int] = set()  # tensors computed through a kernel
    found = set()
    for node in graph.nodes:
        fresh = not any(id(tensor) in behind for tensor in node.inputs)
        kernel = _has_kernel(node.op)
        if fresh and kernel and isinstance(node.op, _CONVOLUTIONS):
            found.add(id(node.op))
        if kernel or not fresh:
            behind.update(id(tensor) for tensor in keras.tree.flatten(node.outputs))
    return found


def _last(graph: Graph) -> set[int]:
    before: set[int] = set()  # tensors that a later kernel reads
    found: set[int] = set()
    others: set[int] = set()
    for node in reversed(graph.nodes):
        free = not any(id(tensor) in before for tensor in keras.tree.flatten(node.outputs))
        kernel = _has_kernel(node.op)
        if kernel:
            (found if free else others).add(id(node.op))
        if kernel or not free:
            before.update(id(tensor) for tensor in node.inputs)
    return found - others


def _norms(graph: Graph) -> dict[int, keras.layers.BatchNormalization]:
    return {id(before.op): node.op for before, node in graph.lone_pairs() if _is_norm(node)}


def _is_norm(node: Node) -> bool:
    """Whether a node is a batch norm with weights, over the last axis."""
    if kind(node.op) != "BatchNormalization" or not own_weights(node.op):
        return False
    return node.op.axis in (-1, len(node.output.shape) - 1)
