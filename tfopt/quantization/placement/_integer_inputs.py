"""Inputs of whole numbers that are measurements, such as bytes of an image: real numbers on a grid of their own."""

import dataclasses
from typing import Any

import keras
from keras import ops

from tfopt.graph import Expansion, Graph, Node, inline, kind, substitute, tensors_in
from tfopt.kernels import OPERATIONS, OWN

# Operations that read whole numbers as places in a table, not as amounts.
_LOOKUPS = ("Argmax", "Embedding", "Take")
# What Keras computes in float from whole numbers, of those that do not round to a grid of their own.
_PROMOTES = ("Cast", "Concatenate", "Maximum", "Minimum", "Resize", "Resizing", "Stack", "UpSampling2D")
# Types of few bits -> the range of their codes, which is one of the grids of int8.
_WHOLE = {"uint8": (0.0, 255.0), "int8": (-128.0, 127.0)}


def real_inputs(graph: Graph) -> tuple[Graph, dict[str, tuple[float, float]]]:
    """The graph with integer inputs made float32 where all that reads them computes in float.

    A Rescaling, a Normalization or a convolution behind an image of bytes casts it to float; the kernels of integers
    take the bytes as they are, on a grid of step 1. Indices stay whole numbers; where an input is both, a cast comes
    before what computes with it.

    Args:
        graph: a captured graph.

    Returns:
        A graph that computes the same, and the range of each input whose type gives it.

    >>> from tfopt.graph import capture
    >>> image = keras.Input((4, 4, 3), dtype="uint8", name="image")
    >>> graph, ranges = real_inputs(capture(keras.Model(image, keras.layers.Rescaling(1 / 255)(image))))
    >>> graph.inputs.dtype, ranges
    ('float32', {'image': (0.0, 255.0)})
    """
    amounts = _amounts(graph)
    values = {
        id(tensor): keras.KerasTensor(tensor.shape, "float32", name=tensor.name)
        for tensor in (
            *tensors_in(graph.inputs),
            *(t for node in graph.nodes for t in tensors_in(node.outputs)),
        )
        if id(tensor) in amounts
    }
    inputs = tensors_in(graph.inputs)
    ranges = {one.name: _WHOLE[one.dtype] for one in inputs if id(one) in amounts and one.dtype in _WHOLE}
    nodes: list[Node] = []
    for node in graph.nodes:
        if _is_plain_cast(node) and id(node.inputs[0]) in values:
            values[id(node.output)] = values[id(node.inputs[0])]
        else:
            nodes.append(dataclasses.replace(node.reading(values), outputs=substitute(node.outputs, values)))
    changed = dataclasses.replace(
        graph,
        inputs=substitute(graph.inputs, values),
        nodes=tuple(nodes),
        outputs=substitute(graph.outputs, values),
    )
    return changed.map_nodes(_cast_before), ranges


def _is_whole(tensor: keras.KerasTensor) -> bool:
    return "int" in tensor.dtype


def _is_plain_cast(node: Node) -> bool:
    return kind(node.op) == "Cast" and node.output.dtype == "float32"


def _computes(node: Node) -> bool:
    """Whether a node computes real numbers from the whole numbers that it reads."""
    name = kind(node.op)
    row = None if node.opaque or name in _LOOKUPS else OPERATIONS.get(name)
    known = node.drops or (row is not None and (row.output == OWN or name in _PROMOTES))
    return known and all("float" in tensor.dtype for tensor in tensors_in(node.outputs))


def _amounts(graph: Graph) -> set[int]:
    """`id` of the whole numbers that come from inputs and that nothing reads as they are."""
    found: set[int] = set()

    def is_amount(tensor: keras.KerasTensor) -> bool:
        readers = graph.consumers[id(tensor)]
        return (
            _is_whole(tensor)
            and bool(readers)
            and id(tensor) not in graph.output_ids
            and all(_computes(one) or _hands_on(one, found) for one in readers)
        )

    for node in reversed(graph.nodes):
        found.update(id(tensor) for tensor in tensors_in(node.outputs) if is_amount(tensor))
    found.update(id(tensor) for tensor in tensors_in(graph.inputs) if is_amount(tensor))
    return _from_inputs(graph, found)


def _hands_on(node: Node, amounts: set[int]) -> bool:
    """Whether a node moves whole numbers that are amounts behind it."""
    row = None if node.opaque or kind(node.op) == "Cast" else OPERATIONS.get(kind(node.op))
    outputs = tensors_in(node.outputs)
    return row is not None and row.output != OWN and all(id(tensor) in amounts for tensor in outputs)


def _from_inputs(graph: Graph, amounts: set[int]) -> set[int]:
    """Those of them that come from such inputs alone: other whole numbers are results of integer operations."""
    found = {id(tensor) for tensor in tensors_in(graph.inputs) if id(tensor) in amounts}
    for node in graph.nodes:
        if _hands_on(node, amounts) and all(id(tensor) in found for tensor in node.inputs):
            found.update(map(id, tensors_in(node.outputs)))
    # Back again: an input stays whole where what it is moved into does.
    for node in reversed(graph.nodes):
        if not _computes(node) and not all(id(tensor) in found for tensor in tensors_in(node.outputs)):
            found.difference_update(id(tensor) for tensor in node.inputs)
    return found


def _cast_before(node: Node) -> Expansion | None:
    """Puts a cast before what computes with whole numbers that stay such."""
    whole = {id(tensor): tensor for tensor in node.inputs if _is_whole(tensor)}
    if not whole or kind(node.op) == "Cast" or not _computes(node):
        return None
    casts: list[Node] = []
    values: dict[int, Any] = {}
    for key, tensor in whole.items():
        output = keras.KerasTensor(tensor.shape, "float32")
        place = Node(node.op, (tensor,), {}, output, f"{node.path}_cast")
        nodes, values[key] = inline(place, lambda x: ops.cast(x, "float32")) or ([], tensor)
        casts.extend(nodes)
    return [*casts, node.reading(values)], node.outputs
