"""Names: what a file's inputs and outputs are called, which is what the user called them."""

import itertools
from collections.abc import Collection, Sequence
from typing import Any

import keras

from tfopt.graph import Graph, Node, tensors_in
from tfopt.kernels import (
    ConstantFakeQuantize,
    FloatBoundary,
    FloatFence,
    IntegerActivations,
    IntegerModel,
    Requantize,
)

# Layers that `quantize` puts behind those of the user.
_INSERTED: tuple[Any, ...] = (IntegerActivations, ConstantFakeQuantize, FloatBoundary, FloatFence, Requantize)


def output_names(graph: Graph, model: keras.Model) -> tuple[str, ...]:
    """A name for each output: its key where the model returns a dict, else the layer that makes it.

    As `model.output_names` has it, but of the model that the user built: a quantizer behind `logits`, or the softmax
    that was taken out of `probabilities`, adds nothing to the name. A layer of several outputs numbers them.

    Args:
        graph: what `capture(model)` returned.
        model: the model, quantized or not.

    >>> from tfopt.graph import capture
    >>> inputs = keras.Input((4,), name="image")
    >>> model = keras.Model(inputs, keras.layers.Dense(2, name="logits")(inputs))
    >>> output_names(capture(model), model)
    ('logits',)
    """
    outputs, tensors = graph.outputs, tensors_in(graph.outputs)
    if isinstance(outputs, dict) and len(outputs) == len(tensors):
        # why flatten: it sorts the keys, for the tensors as for the names.
        return tuple(keras.tree.flatten({key: str(key) for key in outputs}))
    placed = model.placed if isinstance(model, IntegerModel) else None
    rows = placed.layers if placed is not None else ()
    return unique([_name_of(graph, tensor, rows) for tensor in tensors])


def unique(names: Sequence[str]) -> tuple[str, ...]:
    """The names, with a number behind those that were there before.

    >>> unique(["split", "split", "logits"])
    ('split', 'split_1', 'logits')
    """
    taken: list[str] = []
    for name in names:
        taken.append(free_name([name], [*taken, *names] if name in taken else taken))
    return tuple(taken)


def free_name(names: Sequence[str], taken: Collection[str]) -> str:
    """The first of the names that is not taken; the first of all with a number behind it where each is.

    >>> free_name(["conv", "bias"], ["conv"]), free_name(["conv"], ["conv", "conv_1"])
    ('bias', 'conv_2')
    """
    numbered = (f"{names[0]}_{number}" for number in itertools.count(1))
    return next(name for name in itertools.chain(names, numbered) if name not in taken)


def _name_of(graph: Graph, tensor: keras.KerasTensor, rows: Sequence[Any]) -> str:
    """What the user calls a tensor: its outermost layer."""
    quantizer = ""
    node = graph.producers.get(id(tensor))
    while node is not None and isinstance(node.op, _INSERTED):
        quantizer, tensor = node.op.name, node.inputs[0]
        node = graph.producers.get(id(tensor))
    if node is None:
        return tensor.name
    path = _original_path(node, quantizer, rows)
    outermost = path.split("/")[0]
    for row in rows:  # `quantize` takes the activation out of a layer, and calls it layer_activation
        activation = outermost.removeprefix(f"{row.path}_")
        if row.weights and activation != outermost and hasattr(keras.activations, activation):
            return row.path.split("/")[0]
    return outermost


def _original_path(node: Node, quantizer: str, rows: Sequence[Any]) -> str:
    """Where an operation of a quantized model stood in the model that was quantized."""
    name = node.op.name
    tests = (
        lambda row: row.weights == name,
        lambda row: row.path == name,
        lambda row: row.path.replace("/", "_") == name,
        lambda row: row.path.split("/")[-1] == name,
        lambda row: quantizer and row.quantizer == quantizer,
    )
    for test in tests:
        found = [row.path for row in rows if test(row)]
        if len(found) == 1:
            return found[0]
    return node.path
