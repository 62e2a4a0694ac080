"""Single layers with 16-bit activations in an 8-bit model: a border before their inputs, one behind their outputs."""

import dataclasses
from collections.abc import Container, Iterator

import keras

from tfopt.graph import Graph, Node, substitute, tensors_in
from tfopt.kernels import SAME, Requantize, fused_with, row_of


def widen_layers(graph: Graph, chosen: Container[int]) -> Graph:
    """The graph in which some operations compute on 16-bit codes.

    What a kernel fuses is widened with it, and so is what only moves codes from one of them to the next; all borders
    between two of them fall away, so that what is between them keeps its 16 bits.

    Args:
        graph: a graph whose activations are split.
        chosen: `id(op)` of the operations.

    Returns:
        A graph that computes the same, with a `Requantize` at each border.
    """
    inside = _inside(graph, chosen)
    if not inside:
        return graph
    made = {id(tensor) for node in graph.nodes if id(node) in inside for tensor in tensors_in(node.outputs)}
    wide: dict[int, keras.KerasTensor] = {}
    narrow: dict[int, keras.KerasTensor] = {}
    nodes: list[Node] = []
    for node in graph.nodes:
        if id(node) in inside:
            for tensor in _floats(node.inputs):
                if id(tensor) not in made and id(tensor) not in wide:
                    nodes.append(_border(f"{node.op.name}_widen{_number(wide, node)}", 16, tensor))
                    wide[id(tensor)] = nodes[-1].output
            nodes.append(node.reading(wide))
        else:
            nodes.append(node.reading(narrow))
        for tensor in _floats(tensors_in(node.outputs)):
            readers = graph.consumers[id(tensor)]
            leaves = id(tensor) in graph.output_ids or any(id(one) not in inside for one in readers)
            if id(tensor) in made and leaves:
                nodes.append(_border(f"{node.op.name}_narrow", None, tensor))
                narrow[id(tensor)] = nodes[-1].output
    return dataclasses.replace(graph, nodes=tuple(nodes), outputs=substitute(graph.outputs, narrow))


def _number(wide: dict[int, keras.KerasTensor], node: Node) -> str:
    """What tells the borders before one operation apart: nothing for the first."""
    before = sum(id(tensor) in wide for tensor in node.inputs)
    return f"_{before}" if before else ""


def _inside(graph: Graph, chosen: Container[int]) -> set[int]:
    """`id(node)` of the calls that compute on 16-bit codes."""
    found: set[int] = set()
    for node in graph.nodes:
        if id(node.op) in chosen and not _ends_on_a_fixed_range(graph, node):
            found |= {id(node), *map(id, fused_with(graph, node))}
    for node in graph.nodes:
        row = row_of(node)
        if row is not None and row.output == SAME and row.int16(node) and _is_between(graph, node, found):
            found.add(id(node))
    return found


def _ends_on_a_fixed_range(graph: Graph, node: Node) -> bool:
    """Whether a node writes an output of the model on a grid that TFLite fixes: in 8 bits behind a border, none is."""
    row = row_of(node)
    fixed = row is not None and row.fixed is not None
    return fixed and any(id(tensor) in graph.output_ids for tensor in tensors_in(node.outputs))


def _is_between(graph: Graph, node: Node, found: set[int]) -> bool:
    """Whether all that a node reads comes from inside, and some of what it writes is read there, directly or not."""
    sources = [graph.producers.get(id(tensor)) for tensor in node.inputs]
    if not sources or any(source is None or id(source) not in found for source in sources):
        return False
    pending = list(_readers(graph, node))
    while pending:
        reader = pending.pop()
        if id(reader) in found:
            return True
        row = row_of(reader)
        if row is not None and row.output == SAME:
            pending.extend(_readers(graph, reader))
    return False


def _readers(graph: Graph, node: Node) -> Iterator[Node]:
    for tensor in tensors_in(node.outputs):
        yield from graph.consumers[id(tensor)]


def _floats(tensors: list[keras.KerasTensor]) -> list[keras.KerasTensor]:
    return [tensor for tensor in tensors if "float" in tensor.dtype]


def _border(name: str, num_bits: int | None, tensor: keras.KerasTensor) -> Node:
    output = keras.KerasTensor(tensor.shape, tensor.dtype)
    return Node(Requantize(num_bits, name=name, dtype="float32"), (tensor,), {}, output, name)
