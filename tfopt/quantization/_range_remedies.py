"""What to do where a grid costs values: a sentence for each case, of what helps this model on its target."""

import re
from collections.abc import Iterator, Sequence

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
    readers = list(_computing_readers(graph, join))
    if not readers and not _ends(graph, join):
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


def _computing_readers(graph: Graph, join: Node) -> Iterator[Node]:
    """What computes with what a concatenation makes, moved or not."""
    pending, seen = list(tensors_in(join.outputs)), set()
    while pending:
        for node in graph.consumers.get(id(pending.pop(0)), []):
            row = row_of(node)
            if (row is not None and row.output == SAME) or isinstance(node.op, Requantize):
                pending.extend(tensors_in(node.outputs))
            elif id(node) not in seen:
                seen.add(id(node))
                yield node


def _ends(graph: Graph, join: Node) -> bool:
    """Whether the model returns what a concatenation makes, moved or not."""
    pending = list(tensors_in(join.outputs))
    while pending:
        tensor = pending.pop(0)
        if id(tensor) in graph.output_ids:
            return True
        pending.extend(
            one for node in graph.consumers.get(id(tensor), []) for one in tensors_in(node.outputs)
        )
    return False
