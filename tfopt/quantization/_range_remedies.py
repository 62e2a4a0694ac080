"""What to do where a grid costs values: a sentence for each case, of what helps this model on its target."""

import re
from collections.abc import Sequence

import keras

from tfopt.graph import Graph, Node, tensors_in
from tfopt.kernels import SAME, Requantize, row_of

FOR_SAMPLES = "Leave what is no measurement out."
FOR_COLUMNS = (
    "Normalize the columns before the model, in float, or give them inputs of their own, each with a Rescaling or a "
    "Normalization."
)


def for_part(graph: Graph, join: Node, can_widen: bool) -> str:
    """What brings a part of a concatenation its codes back.

    Args:
        graph: the graph in which the grids were placed.
        join: the concatenation, or another operation whose inputs share a grid.
        can_widen: whether 16-bit codes are to be had: the target computes on them, and the grid has fewer.
    """
    carriers = _carriers(graph, join)
    consumers = [node for tensor in carriers for node in graph.consumers.get(id(tensor), [])]
    readers = list({id(node): node for node in consumers if not _moves(node)}.values())
    if not readers and not any(id(tensor) in graph.output_ids for tensor in carriers):
        return "Join the parts elsewhere."
    if readers:
        advice = "Bring the parts to like ranges before they are joined, with a Rescaling or a batch norm behind each"
        wide = [one for one in readers if (row := row_of(one)) is not None and row.int16(one)]
        if can_widen and len(wide) == len(readers):
            return f"{advice}, or compute in 16 bits there: {_override([join, *wide])}."
        return f"{advice}{', or quantize with activation_bits=16' if can_widen else ''}."
    advice = "Return the parts as outputs of their own: nothing computes with them joined"
    if can_widen and id(join.output) in graph.output_ids:
        return f"{advice}. Or return 16 bits, which export(output_dtype='float32') makes floats: {_override([join])}."
    return f"{advice}."


def _override(nodes: Sequence[Node]) -> str:
    """The argument of `QuantConfig` that gives operations 16-bit activations, and no others."""
    paths = dict.fromkeys(f"{re.escape(node.path)}$" for node in nodes)
    return f"QuantConfig(overrides={dict([('|'.join(paths), {'activation_bits': 16})])})"


def _carriers(graph: Graph, join: Node) -> list[keras.KerasTensor]:
    """The tensors that hold what is joined, moved or not."""
    found = list(tensors_in(join.outputs))
    for tensor in found:  # which grows
        for node in graph.consumers.get(id(tensor), []):
            if _moves(node):
                found.extend(tensors_in(node.outputs))
    return found


def _moves(node: Node) -> bool:
    row = row_of(node)
    return (row is not None and row.output == SAME) or isinstance(node.op, Requantize)
