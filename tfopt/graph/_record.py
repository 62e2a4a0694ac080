"""Recording: what a model, a layer's `call` or a function computes on symbolic tensors becomes nodes of a graph.

`keras.models.clone_model`, which is public API, visits every call of a Functional model and passes it to our function.
"""

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

import keras

from tfopt.graph._einsum import einsum_shape
from tfopt.graph._graph import Expansion, Graph, Node, Operation, Tensor, substitute, tensors_in
from tfopt.graph._recursion import deep_recursion
from tfopt.graph._tensorflow import NoCounterpart, call_in_keras
from tfopt.graph._why_closed import Closed, in_short


class _Probe(keras.Operation):
    """Stands in for an operation while its call is recorded, so that the recording leaves no node on it.

    Calling the layer itself would make `layer.output` of the user's model ambiguous.
    """

    def __init__(self, op: Operation) -> None:
        super().__init__()
        self.op = op

    def compute_output_spec(self, *args: Any, **kwargs: Any) -> Any:
        spec = self.op.compute_output_spec(*args, **kwargs)
        if isinstance(self.op, keras.layers.EinsumDense):
            shape = einsum_shape(self.op, args[0].shape)
            spec = spec if shape is None else Tensor(shape, spec.dtype)
        # An operation that returns its argument must still make a new edge.
        return keras.tree.map_structure(
            lambda t: Tensor(t.shape, t.dtype) if isinstance(t, Tensor) else t, spec
        )


def edges(model: keras.Model, prefix: str) -> Graph:
    """The nodes of a Functional or Sequential model, nested models still closed."""
    # A new Model has no compile state to copy. A Sequential keeps its tensors in `inputs`; `input` is its caller's.
    if isinstance(model, keras.Sequential):
        inputs, outputs = model.inputs[0], model.outputs[0]
    else:
        inputs, outputs = model.input, model.output
    nodes: list[Node] = []

    def record(op: Operation, *args: Any, **kwargs: Any) -> Any:
        args, kwargs = keras.tree.map_structure(_as_constant, (args, kwargs))
        outputs = _Probe(op)(*args, **kwargs)
        nodes.append(Node(op, args, kwargs, outputs, prefix + op.name))
        return outputs

    with deep_recursion(len(model.layers)):
        functional = keras.Model(keras.tree.flatten(inputs), keras.tree.flatten(outputs))
        clone = keras.models.clone_model(functional, clone_function=lambda layer: layer, call_function=record)
    pack = keras.tree.pack_sequence_as
    return Graph(model.name, pack(inputs, clone.inputs), tuple(nodes), pack(outputs, clone.outputs))


def _as_constant(leaf: Any) -> Any:
    """The numbers of a weight that an operation was called with: a graph holds weights in its layers alone."""
    return keras.ops.convert_to_numpy(leaf) if isinstance(leaf, keras.Variable) else leaf


def trace(
    layer: keras.layers.Layer,
    args: tuple,
    kwargs: dict,
    prefix: str,
    masks: Mapping[int, Tensor] | None = None,
) -> Graph:
    """The graph of `layer.call`, run on symbolic inputs of the shapes found in the arguments.

    `call` is used and not `__call__`, which would record the layer as one closed node.

    Args:
        layer: the layer.
        args: what it is called with.
        kwargs: likewise.
        prefix: what the paths of its nodes begin with.
        masks: the masks that Keras hangs on the tensors among them, by `id(tensor)`.

    Returns:
        The graph, whose inputs are a list of the tensors and of their masks, each once, and whose outputs are three:
        what `call` returns; the mask on each tensor of that, or None; and for each of `masks` that was hung on a
        tensor, whether `call` took it off, as `MultiHeadAttention` does.
    """
    masks = masks or {}
    outer = {id(t): t for t in tensors_in((args, kwargs))}
    hung = {key: masks[key] for key in outer if key in masks}
    outer |= {id(mask): mask for mask in hung.values()}
    fresh = {
        key: keras.Input(batch_shape=t.shape, dtype=t.dtype, sparse=t.sparse) for key, t in outer.items()
    }
    for key, mask in hung.items():
        fresh[key]._keras_mask = fresh[id(mask)]  # why: layers within `call` look for it there
    args, kwargs = substitute(args, fresh), substitute(kwargs, fresh)
    try:
        outputs = layer.call(*args, **kwargs)
    except Exception as error:
        outputs = _second_try(layer, args, kwargs, error)
    graph = _with_masks(list(fresh.values()), outputs, prefix)
    taken_off = [fresh[key]._keras_mask is None for key in hung]
    return dataclasses.replace(graph, outputs=(*graph.outputs, taken_off))


def _with_masks(inputs: list[Tensor], outputs: Any, prefix: str) -> Graph:
    """The graph from symbolic inputs to what was computed from them, and to the masks on that."""
    found = [getattr(tensor, "_keras_mask", None) for tensor in tensors_in(outputs)]
    given = {id(tensor) for tensor in inputs}
    made = {id(mask): mask for mask in found if mask is not None and id(mask) not in given}
    graph = between(inputs, (outputs, list(made.values())), prefix)
    outputs, masks = graph.outputs
    values = dict(zip([*map(id, inputs), *made], [*tensors_in(graph.inputs), *masks], strict=True))
    return dataclasses.replace(graph, outputs=(outputs, [values.get(id(mask)) for mask in found]))


def _second_try(layer: keras.layers.Layer, args: tuple, kwargs: dict, error: Exception) -> Any:
    """The outputs of a `call` that does not run on Keras tensors: it may run on TensorFlow's."""
    try:
        return call_in_keras(layer, args, kwargs)
    except NoCounterpart as reason:
        raise Closed(layer, str(reason)) from error
    except Exception:  # why all: whatever it does without symbols, it failed before, and that is the cause
        raise Closed(layer, in_short(error)) from error


def between(inputs: list[Tensor], outputs: Any, prefix: str) -> Graph:
    """The graph from symbolic inputs to what was computed from them."""
    flat = keras.tree.flatten(outputs)
    # Keras before 3.14 cannot make a model whose outputs are its inputs.
    if flat and {id(tensor) for tensor in flat} <= {id(tensor) for tensor in inputs}:
        return Graph("", inputs, (), outputs)
    return edges(keras.Model(inputs, outputs), prefix)


def inline(node: Node, function: Callable[..., Any]) -> Expansion | None:
    """Replaces a node by what a function of Keras layers and `keras.ops` computes.

    Args:
        node: a node of a captured graph.
        function: called on symbolic tensors like `node.inputs`; returns tensors like `node.outputs`, or None to
            keep the node.

    Returns:
        What `Graph.map_nodes` takes: the new nodes, and the tensors that replace the node's outputs.

    >>> import keras
    >>> from tfopt.graph import capture, inline, kind
    >>> inputs = keras.Input((4,))
    >>> graph = capture(keras.Model(inputs, keras.layers.Activation("silu")(inputs)))
    >>> graph = graph.map_nodes(lambda node: inline(node, lambda x: x * keras.ops.sigmoid(x)))
    >>> [kind(node.op) for node in graph.nodes]
    ['sigmoid', 'Multiply']
    """
    outer = {id(tensor): tensor for tensor in node.inputs}
    fresh = {
        key: keras.Input(batch_shape=t.shape, dtype=t.dtype, sparse=t.sparse) for key, t in outer.items()
    }
    outputs = function(*(fresh[id(tensor)] for tensor in node.inputs))
    if outputs is None:
        return None
    inner = between(list(fresh.values()), outputs, f"{node.path}/")
    values = dict(zip(map(id, tensors_in(inner.inputs)), outer.values(), strict=True))
    return [inner_node.reading(values) for inner_node in inner.nodes], substitute(inner.outputs, values)
