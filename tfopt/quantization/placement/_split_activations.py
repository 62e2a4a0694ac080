"""A node of its own for each activation that no kernel fuses."""

import dataclasses

import keras

from tfopt.graph import Graph, Node, activation_name
from tfopt.kernels import row_of


def split_activations(graph: Graph) -> tuple[Graph, set[int]]:
    """Gives a node of its own to each activation that is not fused: `Dense(softmax)` becomes Dense, softmax.

    Args:
        graph: a captured graph.

    Returns:
        The new graph, and `id(op)` of the layers that must lose their `activation` argument.
    """
    linear: set[int] = set()

    def split(node: Node) -> tuple[list[Node], keras.KerasTensor] | None:
        row, name = row_of(node), activation_name(node.op)
        if row is None or not row.weights or name in (None, "linear", *row.fuses):
            return None
        linear.add(id(node.op))
        middle = keras.KerasTensor(node.output.shape, node.output.dtype)
        layer = keras.layers.Activation(name, name=f"{node.op.name}_{name}")
        activation = Node(layer, (middle,), {}, node.outputs, f"{node.path}_{name}")
        return [dataclasses.replace(node, outputs=middle), activation], node.outputs

    return graph.map_nodes(split), linear
