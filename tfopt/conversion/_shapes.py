"""Shapes: open dimensions of a model's inputs are fixed before it is converted."""

import dataclasses
from collections.abc import Mapping, Sequence

import keras

from tfopt.graph import Graph, substitute, tensors_in
from tfopt.kernels import TARGETS
from tfopt.runtimes import Tensor


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


def check_fixed(graph: Graph, target: str) -> None:
    """Raises if an input has an open dimension, and the target's runtime cannot resize it.

    Args:
        graph: what `fix_shapes` returned.
        target: a key of `TARGETS`.

    Raises:
        ValueError: it has; with the argument that fixes it.
    """
    left = _open_inputs(graph)
    if left and TARGETS[target].fixed_shapes:
        raise ValueError(
            f"The inputs of a model for {TARGETS[target].title} must have every dimension fixed: its tensors cannot be "
            f"resized. Got {_listed(left)}. Pass {_advice(left)}."
        )


def check_outputs(graph: Graph, outputs: Sequence[Tensor]) -> None:
    """Raises if the converter gave an open dimension of an output a size of its own.

    Args:
        graph: the graph that was converted.
        outputs: the outputs of the file, in order.

    Raises:
        ValueError: it did, as with loops over an open number of steps.
    """
    left = _open_inputs(graph)
    for tensor, written in zip(tensors_in(graph.outputs), outputs, strict=True) if left else ():
        lost = [
            axis
            for axis, size in enumerate(tensor.shape)
            if axis and size is None and axis < len(written.shape) and axis not in written.open_dims
        ]
        if lost:
            raise ValueError(
                f"The converter gave the output {written.name!r} the shape {written.shape}, whose dimensions {lost} "
                f"are open in the model, as are those of {_listed(left)}. Nothing was written. Pass {_advice(left)}."
            )


def _open_inputs(graph: Graph) -> list[keras.KerasTensor]:
    return [tensor for tensor in tensors_in(graph.inputs) if None in tensor.shape[1:]]


def _listed(tensors: Sequence[keras.KerasTensor]) -> str:
    return ", ".join(f"{tensor.name!r} of shape ({_sizes(tensor)})" for tensor in tensors)


def _sizes(tensor: keras.KerasTensor) -> str:
    return ", ".join("any" if size is None else str(size) for size in tensor.shape[1:])


def _advice(tensors: Sequence[keras.KerasTensor]) -> str:
    entries = (f"{tensor.name!r}: ({_sizes(tensor).replace('any', '...')},)" for tensor in tensors)
    return f"shapes={{{', '.join(entries)}}} with numbers for the dots"


def _fixed(tensor: keras.KerasTensor, shape: Sequence[int]) -> keras.KerasTensor:
    known = tensor.shape[1:]
    whole = all(isinstance(size, int) and size > 0 for size in shape)
    if (
        not whole
        or len(shape) != len(known)
        or any(old not in (None, new) for old, new in zip(known, shape, strict=True))
    ):
        raise ValueError(
            f"The 'shapes' argument must give the input {tensor.name!r} a shape of one sample that fits "
            f"({_sizes(tensor)}), in whole numbers. Got {tuple(shape)} instead. Leave the batch dimension out; "
            "'batch_size' sets it."
        )
    return keras.KerasTensor(
        (tensor.shape[0], *shape), dtype=tensor.dtype, sparse=tensor.sparse, name=tensor.name
    )
