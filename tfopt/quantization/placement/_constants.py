"""Constants beside activations, as in `x + table`: TFLite stores them in int8 too."""

from typing import Any

import keras
import numpy as np

from tfopt.graph import Expansion, Graph, Node, affine_of, kind
from tfopt.kernels import round_to_grid

_ARITHMETIC = ("Add", "Subtract", "Multiply", "Divide", "TrueDivide")


def round_constants(graph: Graph) -> Graph:
    """The graph with each table that is added, multiplied and so on rounded to the 256 codes of its own range.

    The converter takes the range of the numbers that it finds, zero included: rounded ones have the same range, and so
    stay as they are. Constants per channel are left: they become weights and biases of a convolution (`affine_of`),
    one channel a step, without error.

    Args:
        graph: a captured graph.

    Returns:
        A graph that computes with the constants of the exported file.
    """
    return graph.map_nodes(_rounded)


def _rounded(node: Node) -> Expansion | None:
    if (
        kind(node.op) not in _ARITHMETIC
        or node.opaque
        or affine_of(node) is not None
        or len(node.inputs) != 1
    ):
        return None
    args = keras.tree.map_structure(_on_grid, node.args)
    return [Node(node.op, args, node.kwargs, node.outputs, node.path)], node.outputs


def _on_grid(leaf: Any) -> Any:
    if isinstance(leaf, keras.KerasTensor) or not hasattr(leaf, "shape"):
        return leaf
    table = np.asarray(keras.ops.convert_to_numpy(leaf))
    if table.size < 2 or table.dtype.kind != "f":
        return leaf
    return np.asarray(round_to_grid(table.astype("float32"), table.min(), table.max())).astype(table.dtype)
