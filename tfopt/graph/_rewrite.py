"""Rewriting: builds a Keras model from a graph."""

from collections import Counter
from collections.abc import Callable
from typing import Any

import keras

from tfopt._host_ops import assign_from
from tfopt.graph._clone import clone_operation
from tfopt.graph._graph import Graph, Operation, Tensor, substitute, tensors_in
from tfopt.graph._kinds import einsum_letters, kind
from tfopt.graph._recursion import deep_recursion


def unique_names(graph: Graph) -> dict[int, str]:
    """A name for each operation by `id(op)`: its own if that is free, else with the model's name in front."""
    operations = {id(node.op): node for node in graph.nodes}
    names: dict[int, str] = {}
    taken: set[str] = set()
    for key, node in operations.items():
        name = node.op.name if node.op.name not in taken else node.path.replace("/", "_")
        while name in taken:
            name += "_"
        taken.add(name)
        names[key] = name
    return names


def build_model(
    graph: Graph,
    replace: Callable[[Operation, str], Operation] | None = None,
    batch_size: int | None = None,
    name: str | None = None,
    model_class: type[keras.Model] = keras.Model,
) -> keras.Model:
    """A new Functional model that computes the graph, with new layers that hold the same weights.

    Args:
        graph: what `capture` or a rewrite of it returned.
        replace: called once for each operation with `(operation, name)`; returns the operation to use in its
            place. Default: `clone_operation`. Weights are copied where old and new have the same shapes.
        batch_size: the batch size of the new inputs; None leaves it open.
        name: the new model's name; the graph's by default.
        model_class: the class of the new model, made of inputs and outputs.

    Returns:
        A model that shares no layer with the graph, unless `replace` returns the old one.

    Example:

    >>> import keras
    >>> from tfopt.graph import build_model, capture
    >>> model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(2, name="dense")], name="net")
    >>> build_model(capture(model)).name
    'net'
    """
    replace = replace or clone_operation
    names = unique_names(graph)
    calls = Counter(id(node.op) for node in graph.nodes)
    copies: dict[int, Operation] = {}
    values: dict[int, Any] = {}

    def fresh_input(tensor: keras.KerasTensor) -> keras.KerasTensor:
        shape = tensor.shape if batch_size is None else (batch_size, *tensor.shape[1:])
        return keras.Input(batch_shape=shape, dtype=tensor.dtype, name=tensor.name, sparse=tensor.sparse)

    inputs = keras.tree.map_structure(fresh_input, graph.inputs)
    values.update(zip(map(id, keras.tree.flatten(graph.inputs)), keras.tree.flatten(inputs), strict=True))
    for node in graph.nodes:
        key = id(node.op)
        args, kwargs = substitute(node.args, values), substitute(node.kwargs, values)
        is_first = key not in copies
        if is_first:
            copies[key] = replace(node.op, names[key])
            if copies[key] is not node.op and getattr(copies[key], "mask_zero", False):
                _hang_no_masks(copies[key])
            if calls[key] == 1:
                _close_sizes(copies[key], tensors_in(args))
        outputs = copies[key](*args, **kwargs)
        if (
            is_first
        ):  # at once, so that the numbers that it was built with make room for those of the next one
            copy_weights(node.op, copies[key])
        values.update(
            zip(map(id, keras.tree.flatten(node.outputs)), keras.tree.flatten(outputs), strict=True)
        )
    with deep_recursion(len(graph.nodes)):
        return model_class(inputs, substitute(graph.outputs, values), name=name or graph.name)


def _hang_no_masks(embedding: Any) -> None:
    """The masks of a graph are arguments: hung on tensors too, they would reach layers that never saw them."""
    embedding.mask_zero = embedding.supports_masking = False


def _close_sizes(layer: Operation, inputs: list[Tensor]) -> None:
    """Gives an EinsumDense those sizes of its output that follow from its input.

    Keras' attention layers leave these sizes open in their inner layers, and set them outside. Once opened, a Flatten
    and a Dense after them would not know their own sizes.
    """
    if kind(layer) != "EinsumDense" or layer.built:  # type: ignore[attr-defined]
        return
    left, _, output = einsum_letters(layer, len(inputs[0].shape))
    known = dict(zip(left, inputs[0].shape, strict=True))
    old = layer.partial_output_shape  # type: ignore[attr-defined]
    letters = output[len(output) - len(old) :] if old else ""
    layer.partial_output_shape = tuple(  # type: ignore[attr-defined]
        known.get(letter) if size is None else size for letter, size in zip(letters, old, strict=True)
    )


def copy_weights(source: Operation, target: Operation) -> None:
    """Gives `target` the values of `source`'s weights, if both are layers and its first weights have those shapes.

    A layer that takes the place of another may have more: they come behind.
    """
    if source is target or not isinstance(source, keras.layers.Layer):
        return
    theirs, own = source.weights, target.weights[: len(source.weights)]
    if [tuple(weight.shape) for weight in theirs] == [tuple(weight.shape) for weight in own]:
        for old, new in zip(theirs, own, strict=True):
            assign_from(old, new)
