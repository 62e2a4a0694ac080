"""Single layers with 16-bit activations in an 8-bit model: a border before their inputs, one behind their outputs."""

import dataclasses
import itertools
from collections.abc import Container, Iterator

import keras

from tfopt.graph import Graph, Node, kind, substitute, tensors_in
from tfopt.kernels import JOINED, SAME, Requantize, Widths, fused_with, row_of


def residual_sums(graph: Graph) -> frozenset[int]:
    """`id(op)` of the additions `x + f(x)`, the stream of a residual network (He et al. 2015, arXiv 1512.03385).

    Args:
        graph: a graph whose activations are split.
    """
    at = {id(node): index for index, node in enumerate(graph.nodes)}
    return frozenset(
        id(node.op)
        for node in graph.nodes
        if kind(node.op) == "Add"
        and len(node.inputs) == 2
        and any(
            _comes_from(graph, tensor, source, at) for tensor, source in itertools.permutations(node.inputs)
        )
    )


def _comes_from(
    graph: Graph, tensor: keras.KerasTensor, source: keras.KerasTensor, at: dict[int, int]
) -> bool:
    """Whether a tensor is computed from another one."""
    first = graph.producers.get(id(source))
    start = -1 if first is None else at[id(first)]
    pending, seen = [tensor], {id(tensor)}
    while pending:
        producer = graph.producers.get(id(pending.pop()))
        if producer is None or at[id(producer)] <= start:
            continue
        for each in producer.inputs:
            if each is source:
                return True
            if id(each) not in seen:
                seen.add(id(each))
                pending.append(each)
    return False


def widen_layers(graph: Graph, chosen: Container[int]) -> Graph:
    """The graph in which some operations compute on 16-bit codes.

    What a kernel fuses is widened with it, and so is what only moves codes from one of them to the next; all borders
    between two of them fall away, so that what is between them keeps its 16 bits. So do those of what computes in 16
    bits already, as a normalization, before and behind one of them. A model returns what it computes in 8 bits, but for
    a concatenation: narrowed behind it, the parts would share the 8 bits of one grid, and be widened for nothing.

    Args:
        graph: a graph whose activations are split.
        chosen: `id(op)` of the operations.

    Returns:
        A graph that computes the same, with a `Requantize` at each border.
    """
    inside = _inside(graph, chosen)
    if not inside:
        return graph
    widths = Widths(graph, num_bits=8)
    made = {id(tensor) for node in graph.nodes if id(node) in inside for tensor in tensors_in(node.outputs)}
    wide: dict[int, keras.KerasTensor] = {}
    narrow: dict[int, keras.KerasTensor] = {}
    nodes: list[Node] = []
    done: set[int] = set()
    for node in graph.nodes:
        if id(node) in inside:
            for tensor in _floats(node.inputs):
                if id(tensor) not in made and id(tensor) not in wide and widths.of(tensor) == 8:
                    known = _wide_already(graph, tensor, widths, done)
                    if known is None:
                        nodes.append(_border(f"{node.op.name}_widen{_number(wide, node)}", 16, tensor))
                    wide[id(tensor)] = nodes[-1].output if known is None else known
            nodes.append(node.reading(wide))
        elif _is_border(node, 16) and id(node.inputs[0]) in made:
            wide[id(node.output)] = narrow[id(node.output)] = node.inputs[0]
        else:
            nodes.append(node if _is_border(node, None) else node.reading(narrow))
        for tensor in _floats(tensors_in(node.outputs)):
            if id(tensor) in made and _leaves(graph, tensor, inside):
                nodes.append(_border(f"{node.op.name}_narrow", None, tensor))
                narrow[id(tensor)] = nodes[-1].output
        done.add(id(node))
    left = {key: tensor for key, tensor in narrow.items() if not _is_returned_joined(graph, key)}
    return dataclasses.replace(graph, nodes=tuple(nodes), outputs=substitute(graph.outputs, left))


def _is_returned_joined(graph: Graph, key: int) -> bool:
    """Whether a tensor, by its `id`, is what a concatenation makes, and the model returns it."""
    producer = graph.producers.get(key)
    row = None if producer is None else row_of(producer)
    return key in graph.output_ids and row is not None and row.output == JOINED


def _is_border(node: Node, *num_bits: int | None) -> bool:
    """Whether a node brings codes to so many bits."""
    return isinstance(node.op, Requantize) and node.op.num_bits in num_bits


def _wide_already(
    graph: Graph, tensor: keras.KerasTensor, widths: Widths, done: Container[int]
) -> keras.KerasTensor | None:
    """A tensor in 16 bits: before the border that made it narrow, or behind another's; None where there is none."""
    producer = graph.producers.get(id(tensor))
    if producer is not None and _is_border(producer, None) and widths.of(producer.inputs[0]) == 16:
        return producer.inputs[0]
    behind = (one for one in graph.consumers[id(tensor)] if _is_border(one, 16) and id(one) in done)
    return next((one.output for one in behind), None)


def _leaves(graph: Graph, tensor: keras.KerasTensor, inside: Container[int]) -> bool:
    """Whether something that computes on 8-bit codes reads what is inside."""
    readers = graph.consumers[id(tensor)]
    is_narrowed = id(tensor) in graph.output_ids and not _is_returned_joined(graph, id(tensor))
    return is_narrowed or any(
        id(reader) not in inside and not _is_border(reader, 16, None) for reader in readers
    )


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
