"""Shapes: open dimensions of a model's inputs are fixed before it is converted."""

import dataclasses
from collections.abc import Mapping, Sequence

import keras

from tfopt.graph import Graph, substitute, tensors_in


def fix_shapes(graph: Graph, shapes: Mapping[str, Sequence[int]]) -> Graph:
    """The graph with other inputs, whose open dimensions are fixed.

    Args:
        graph: what `capture` returned.
        shapes: the shape of one sample, without the batch dimension, by the name of the input.

    Raises:
        ValueError: there is no such input, or the shape does not fit it.

    >>> from tfopt.graph import capture
    >>> inputs = keras.Input((None, None, 3), name="image")
    >>> graph = capture(keras.Model(inputs, keras.layers.Conv2D(2, 3)(inputs)))
    >>> fix_shapes(graph, {"image": (8, 8, 3)}).inputs.shape
    (None, 8, 8, 3)
    """
    inputs = {tensor.name: tensor for tensor in tensors_in(graph.inputs)}
    if unknown := sorted(set(shapes) - set(inputs)):
        raise ValueError(
            f"The 'shapes' argument must have names of the model's inputs for keys: {sorted(inputs)}. Got {unknown} "
            "instead. An input's name is what keras.Input(name=...) was given."
        )
    if not shapes:
        return graph
    values = {id(inputs[name]): _fixed(inputs[name], shape) for name, shape in shapes.items()}
    nodes = tuple(node.reading(values) for node in graph.nodes)
    return dataclasses.replace(
        graph, inputs=substitute(graph.inputs, values), nodes=nodes, outputs=substitute(graph.outputs, values)
    )


def _fixed(tensor: keras.KerasTensor, shape: Sequence[int]) -> keras.KerasTensor:
    known = tensor.shape[1:]
    whole = all(isinstance(size, int) and size > 0 for size in shape)
    if (
        not whole
        or len(shape) != len(known)
        or any(old not in (None, new) for old, new in zip(known, shape, strict=True))
    ):
        expected = ", ".join("any" if size is None else str(size) for size in known)
        raise ValueError(
            f"The 'shapes' argument must give the input {tensor.name!r} a shape of one sample that fits ({expected}), "
            f"in whole numbers. Got {tuple(shape)} instead. Leave the batch dimension out; 'batch_size' sets it."
        )
    return keras.KerasTensor(
        (tensor.shape[0], *shape), dtype=tensor.dtype, sparse=tensor.sparse, name=tensor.name
    )
