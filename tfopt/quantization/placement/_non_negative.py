"""What is known to be 0 or more: only its largest number need be looked for."""

import keras

from tfopt.graph import Graph, activation_name, kind
from tfopt.kernels import SAME, row_of

# Operations whose outputs are never below 0.
_NON_NEGATIVE = ("relu", "relu6", "sigmoid", "softmax")


def is_non_negative(graph: Graph, tensor: keras.KerasTensor) -> bool:
    """Whether a tensor is known to be 0 or more, from the operation that makes it."""
    node = graph.producers.get(id(tensor))
    while node is not None and not node.opaque:
        if kind(node.op) in _NON_NEGATIVE or activation_name(node.op) in _NON_NEGATIVE:
            return True
        row = row_of(node)
        if row is None or row.output != SAME or len(node.inputs) != 1:
            return False
        node = graph.producers.get(id(node.inputs[0]))
    return False
