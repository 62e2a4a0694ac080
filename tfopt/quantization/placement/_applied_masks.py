"""Masks that people apply to scores by hand, before a softmax: -100, -1e9 or minus infinity, added or chosen.

On the grid of the sum, which reaches down to that, scores would keep some ten codes beside Swin's -100, and none beside
-1e9. So it is a masked softmax: in 16 bits, where what is left out lies a little below the rest.
"""

import math
from collections.abc import Callable
from typing import Any

import keras
import numpy as np
from keras import ops

from tfopt.graph import Expansion, Graph, Node, affine_of, inline, kind
from tfopt.kernels import LEFT_OUT, SAME, AddMask, FixedRange, Target, row_of
from tfopt.quantization.placement._masks import SHARES
from tfopt.quantization.placement._parts import Parts

# What lies so far below the other scores has no share: `exp(-50)`.
_FAR = -50.0
# Makes the scores and what is added to them, 0 or `LEFT_OUT`, from the inputs of a node.
_Split = Callable[..., tuple[Any, Any]]


def read_applied_masks(graph: Graph, target: Target, num_bits: int) -> Graph:
    """The graph with each choice of scores by a mask, and the softmax of it, as those of a masked softmax.

    Args:
        graph: a captured graph, before it is taken apart.
        target: what the graph will run on.
        num_bits: bits of the model's activations.

    Returns:
        A graph with the same shares, but for those below `exp(-50)`.
    """
    if 16 not in target.activation_bits:
        return graph
    found: dict[int, Callable[[Parts, Any], Any] | None] = {}
    for node in graph.nodes:
        masking = _masking_before(graph, node)
        split = None if masking is None else _split(graph, masking, num_bits)
        if masking is not None and split is not None:
            found |= {id(masking): split, id(node): None}

    def expand(node: Node) -> Expansion | None:
        if id(node) not in found:
            return None
        part, split = Parts(node.op, target, num_bits), found[id(node)]
        if split is None:
            return inline(node, lambda scores: _shares(part, scores))
        return inline(node, lambda *tensors: _left_out(part, *split(part, *tensors)))

    return graph.map_nodes(expand).without_unread()


def _left_out(part: Parts, scores: Any, added: Any) -> Any:
    added = part.widen(added, "widen_mask") if isinstance(added, keras.KerasTensor) else added
    return part("mask", AddMask)(part.widen(scores), added)


def _shares(part: Parts, scores: Any) -> Any:
    shares = part.narrow(part.activation("softmax", scores, "shares"))
    return part("range", FixedRange, *SHARES)(shares) if part.num_bits == 8 else shares


def _masking_before(graph: Graph, node: Node) -> Node | None:
    """What makes the scores of a softmax along the last axis, which alone reads them; None where none is known."""
    if kind(node.op) != "softmax" or len(node.inputs) != 1 or getattr(node.op, "axis", -1) != -1:
        return None
    tensor = node.inputs[0]
    while (producer := graph.producers.get(id(tensor))) is not None:
        if graph.only_consumer(tensor) is None:
            return None
        if kind(producer.op) in _MASKINGS:
            return producer
        if not _moves(producer):
            return None
        tensor = producer.inputs[0]
    return None


def _moves(node: Node) -> bool:
    row = row_of(node)
    return row is not None and row.output == SAME and len(node.inputs) == 1 and row.int16(node)


def _split(graph: Graph, node: Node, num_bits: int) -> _Split | None:
    """How a node leaves scores out; None if it does not."""
    return None if node.opaque else _MASKINGS[kind(node.op)](graph, node, num_bits)


def _sum(graph: Graph, node: Node, num_bits: int, sign: float = 1.0) -> _Split | None:
    """`scores + mask`: of a table, or booleans as numbers, `(1 - kept) * -1e9`; with a sign of -1 `scores - mask`."""
    if len(node.inputs) == 1 and len(node.args) == 2 and node.args[0] is node.inputs[0]:
        table = _table(node.args[1])
        if table is None:
            return None
        out = sign * table < _FAR
        if not out.any() or not np.all(out | (table == 0.0)):
            return None
        added = np.where(out, np.float32(LEFT_OUT), np.float32(0.0))
        return lambda part, scores: (scores, added)
    if len(node.inputs) != 2 or num_bits != 8:
        return None
    for at in (1, 0) if sign > 0 else (1,):
        far = _far_value(graph, node.inputs[at])
        if far is not None and sign * far < _FAR:
            return lambda part, *both: (
                both[1 - at],
                part.affine("scaled", both[at], LEFT_OUT / far),
            )
    return None


def _difference(graph: Graph, node: Node, num_bits: int) -> _Split | None:
    return _sum(graph, node, num_bits, -1.0)


def _choice(graph: Graph, node: Node, num_bits: int) -> _Split | None:
    """`where(kept, scores, -1e9)`."""
    kept, *both = node.args
    sides = [_table(one) for one in both]
    if len(both) != 2 or sum(side is None for side in sides) != 1 or num_bits != 8:
        return None
    at = sides.index(None)
    number = sides[1 - at]
    if number is None or not np.all(number < _FAR):
        return None
    values = (0.0, LEFT_OUT) if at == 0 else (LEFT_OUT, 0.0)
    if not isinstance(kept, keras.KerasTensor):
        added = np.where(np.asarray(kept, bool), *values).astype("float32")
        return lambda part, scores: (scores, added)
    return lambda part, condition, scores: (scores, ops.where(condition, *values))


def _table(leaf: Any) -> np.ndarray | None:
    """The numbers of a constant; None of anything else."""
    if isinstance(leaf, (int, float)):
        return np.asarray(leaf, "float32")
    if isinstance(leaf, keras.KerasTensor) or not hasattr(leaf, "shape"):
        return None
    table = np.asarray(keras.ops.convert_to_numpy(leaf))
    return table if table.dtype.kind == "f" else None


def _far_value(graph: Graph, tensor: Any) -> float | None:
    """The other number of a tensor of booleans that became 0 and one other; None of all other tensors."""
    factor, offset = 1.0, 0.0
    while (node := graph.producers.get(id(tensor))) is not None:
        affine = affine_of(node)
        if kind(node.op) == "Cast" and node.inputs[0].dtype == "bool":
            values = factor + offset, offset
            return sum(values) if 0.0 in values and all(map(math.isfinite, values)) else None
        if affine is not None and all(np.all(numbers == numbers[0]) for numbers in affine):
            offset += factor * float(affine[1][0])
            factor *= float(affine[0][0])
        elif not _moves(node):
            return None
        tensor = node.inputs[0]
    return None


_MASKINGS: dict[str, Callable[[Graph, Node, int], _Split | None]] = {
    "Add": _sum,
    "Subtract": _difference,
    "Where": _choice,
}
