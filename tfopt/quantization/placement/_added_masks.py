"""Masks that people add to scores by hand: a table of 0 and of -100, -1e9 or minus infinity, before a softmax.

On the grid of the sum, which reaches down to what is added, scores would keep some ten codes beside the -100 of a Swin
block, and none beside -1e9. So it is a masked softmax: in 16 bits, where what is left out lies a little below the rest.
"""

from typing import Any

import keras
import numpy as np

from tfopt.graph import Expansion, Graph, Node, inline, kind
from tfopt.kernels import LEFT_OUT, SAME, AddMask, FixedRange, Target, row_of
from tfopt.quantization.placement._masks import SHARES
from tfopt.quantization.placement._parts import Parts

# What lies so far below the other scores has no share: `exp(-50)`.
_FAR = -50.0


def read_added_masks(graph: Graph, target: Target, num_bits: int) -> Graph:
    """The graph with each sum of scores and a mask, and the softmax of it, as those of a masked softmax.

    Args:
        graph: a graph whose activations are split.
        target: what the graph will run on.
        num_bits: bits of the model's activations.

    Returns:
        A graph with the same shares, but for those below `exp(-50)`.
    """
    if 16 not in target.activation_bits:
        return graph
    found: dict[int, Any] = {}
    for node in graph.nodes:
        added = _sum_before(graph, node)
        if added is not None:
            found |= {id(added): added, id(node): node}

    def expand(node: Node) -> Expansion | None:
        if id(node) not in found:
            return None
        part = Parts(node.op, target, num_bits)
        if kind(node.op) == "Add":
            left_out = np.where(_mask_in(node) < _FAR, np.float32(LEFT_OUT), np.float32(0.0))
            return inline(node, lambda x: part("mask", AddMask)(part.widen(x), left_out))
        return inline(node, lambda x: _shares(part, x))

    return graph.map_nodes(expand)


def _shares(part: Parts, scores: Any) -> Any:
    shares = part.narrow(part.activation("softmax", scores, "shares"))
    return part("range", FixedRange, *SHARES)(shares) if part.num_bits == 8 else shares


def _sum_before(graph: Graph, node: Node) -> Node | None:
    """The sum with a mask that a softmax along the last axis reads, and nothing else; None if there is none."""
    if kind(node.op) != "softmax" or len(node.inputs) != 1 or getattr(node.op, "axis", -1) != -1:
        return None
    tensor = node.inputs[0]
    while True:
        producer = graph.producers.get(id(tensor))
        if producer is None or len(graph.consumers[id(tensor)]) != 1 or id(tensor) in graph.output_ids:
            return None
        if kind(producer.op) == "Add":
            return producer if _mask_in(producer) is not None else None
        row = row_of(producer)
        if row is None or row.output != SAME or len(producer.inputs) != 1 or not row.int16(producer):
            return None
        tensor = producer.inputs[0]


def _mask_in(node: Node) -> Any:
    """The table that a sum adds to its one tensor, if all that is in it is 0 or far below; else None."""
    if len(node.inputs) != 1 or node.opaque:
        return None
    others = [one for one in node.args if not isinstance(one, keras.KerasTensor) and hasattr(one, "shape")]
    if len(others) != 1 or len(node.args) != 2:
        return None
    table = np.asarray(keras.ops.convert_to_numpy(others[0]))
    far = table < _FAR
    return table if table.dtype.kind == "f" and far.any() and np.all(far | (table == 0.0)) else None
