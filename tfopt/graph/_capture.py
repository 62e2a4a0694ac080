"""Capture: any Keras model becomes a flat graph of primitive operations that share its layers and weights.

`keras.models.clone_model`, which is public API, visits every call of a Functional model and passes it to our function;
a subclassed model or block is made Functional first, by running its `call` on symbolic inputs.
"""

import dataclasses
import functools
import inspect
from collections.abc import Callable
from typing import Any

import keras

from tfopt.graph._einsum import einsum_shape
from tfopt.graph._graph import Expansion, Graph, Node, Operation, Tensor, substitute, tensors_in
from tfopt.graph._layers import sublayers
from tfopt.graph._recursion import deep_recursion
from tfopt.graph._tensorflow import NoCounterpart, call_in_keras
from tfopt.graph._why_closed import Closed, in_short, why_closed


def capture(model: keras.Model, samples: Any = None, constants: bool = False) -> Graph:
    """The graph of a model: nested models, subclassed models and custom blocks opened into primitives.

    The nodes hold the model's own layers: a weight read through the graph is the model's. The model is not
    changed. What cannot be opened (recurrent layers, custom layers with weights of their own, code that
    is not `keras.ops`) stays one node, with the reason in `Node.opaque`. A layer class that sets
    `graph_primitive = True` stays one node too.

    Args:
        model: a built Sequential, Functional or subclassed model.
        samples: a batch of inputs (array or nest of arrays); needed only for a subclassed model whose input
            shapes Keras has not recorded.
        constants: whether to open custom layers that hold weights of their own beside other layers, or whose class
            cannot be copied: those weights are constants of the graph then.

    Returns:
        A `Graph` whose nodes are in call order.

    Raises:
        TypeError: `model` is not a Keras 3 model.
        ValueError: the model is not built, or its `call` cannot run on symbolic inputs.

    Example:

    >>> import keras
    >>> from tfopt.graph import capture
    >>> head = keras.Sequential([keras.Input((4,)), keras.layers.Dense(2, name="dense")], name="head")
    >>> inputs = keras.Input((4,))
    >>> model = keras.Model(inputs, head(keras.layers.ReLU(name="relu")(inputs)))
    >>> [node.path for node in capture(model).nodes]
    ['relu', 'head/dense']
    """
    if not isinstance(model, keras.Model):
        raise TypeError(
            "The 'model' argument must be a Keras 3 model. Got "
            f"{type(model).__module__}.{type(model).__name__} instead. Models of tf_keras (Keras 2) must be "
            "rebuilt, or loaded with keras, first."
        )
    if is_functional(model):
        graph = _edges(model, prefix="")
    else:
        inputs = _symbolic_inputs(model, samples)
        graph = _trace(model, (inputs,), {}, prefix="")
        graph = dataclasses.replace(graph, inputs=keras.tree.pack_sequence_as(inputs, graph.inputs))
    return dataclasses.replace(_expand(graph, constants), name=model.name)


@functools.cache
def _functional_class() -> type:
    tensor = keras.Input((1,))
    # A layer in between, because Keras before 3.14 cannot make a model whose output is its input.
    return type(keras.Model(tensor, keras.layers.Identity(name="between")(tensor)))


def is_functional(model: Operation) -> bool:
    """Whether the layers' call graph is recorded in the model, so that `call` need not run."""
    if isinstance(model, keras.Sequential):
        return model.built and bool(model.inputs)
    functional = _functional_class()
    return isinstance(model, functional) and type(model).call is functional.call  # type: ignore[attr-defined]


def _symbolic_inputs(model: keras.Model, samples: Any) -> Any:
    if samples is not None and model.built:
        return keras.tree.map_structure(
            lambda x: keras.Input(x.shape[1:], dtype=keras.backend.standardize_dtype(x.dtype)), samples
        )
    shape = (model.get_build_config() or {}).get("input_shape") if model.built else None
    if shape is None:
        raise ValueError(
            f"The model {model.name!r} must be built before it can be captured: its input "
            "shape is not known. Call it once on a batch of inputs, or begin it with keras.Input(shape)."
        )
    if isinstance(shape, dict):
        return {name: keras.Input(batch_shape=(None, *one[1:])) for name, one in shape.items()}
    if isinstance(shape[0], (list, tuple)):
        return [keras.Input(batch_shape=(None, *one[1:])) for one in shape]
    return keras.Input(batch_shape=(None, *shape[1:]))


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


def _edges(model: keras.Model, prefix: str) -> Graph:
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


def _trace(layer: keras.layers.Layer, args: tuple, kwargs: dict, prefix: str) -> Graph:
    """The graph of `layer.call`, run on symbolic inputs of the shapes found in the arguments.

    `call` is used and not `__call__`, which would record the layer as one closed node.
    """
    fresh = {
        id(t): keras.Input(batch_shape=t.shape, dtype=t.dtype, sparse=t.sparse)
        for t in tensors_in((args, kwargs))
    }
    args, kwargs = substitute(args, fresh), substitute(kwargs, fresh)
    try:
        outputs = layer.call(*args, **kwargs)
    except Exception as error:
        outputs = _second_try(layer, args, kwargs, error)
    return _between(list(fresh.values()), outputs, prefix)


def _second_try(layer: keras.layers.Layer, args: tuple, kwargs: dict, error: Exception) -> Any:
    """The outputs of a `call` that does not run on Keras tensors: it may run on TensorFlow's."""
    try:
        return call_in_keras(layer, args, kwargs)
    except NoCounterpart as reason:
        raise Closed(layer, str(reason)) from error
    except Exception:  # why all: whatever it does without symbols, it failed before, and that is the cause
        raise Closed(layer, in_short(error)) from error


def _between(inputs: list[Tensor], outputs: Any, prefix: str) -> Graph:
    """The graph from symbolic inputs to what was computed from them."""
    flat = keras.tree.flatten(outputs)
    # Keras before 3.14 cannot make a model whose outputs are its inputs.
    if flat and {id(tensor) for tensor in flat} <= {id(tensor) for tensor in inputs}:
        return Graph("", inputs, (), outputs)
    return _edges(keras.Model(inputs, outputs), prefix)


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
    inner = _between(list(fresh.values()), outputs, f"{node.path}/")
    values = dict(zip(map(id, tensors_in(inner.inputs)), outer.values(), strict=True))
    return [inner_node.reading(values) for inner_node in inner.nodes], substitute(inner.outputs, values)


def _expand(graph: Graph, constants: bool) -> Graph:
    """Opens composite nodes until none is left that can be opened."""

    def expand(node: Node) -> Expansion | None:
        reason = why_closed(node.op, constants)
        if reason is None:
            try:
                expansion = _inlined(node, constants)
                return (
                    expansion
                    if not _drops(node, expansion)
                    else ([dataclasses.replace(node, drops=True)], node.outputs)
                )
            except Closed as error:
                reason = error.reason
            except ValueError as error:
                reason = in_short(error)
        return ([dataclasses.replace(node, opaque=reason)], node.outputs) if reason else None

    return graph.map_nodes(expand)


def _drops(node: Node, expansion: Expansion) -> bool:
    """Whether a custom layer was opened to nothing because it acts only in training, as StochasticDepth does."""
    nodes, outputs = expansion
    same = [id(tensor) for tensor in tensors_in(outputs)] == [id(tensor) for tensor in node.inputs]
    return (
        same
        and not nodes
        and not sublayers(node.op)
        and "training" in inspect.signature(node.op.call).parameters
    )


# Layers that compute each place along the last axis alone, so that steps need not become samples.
_POINTWISE = ("Activation", "Dense", "Dropout", "LeakyReLU", "ReLU", "Rescaling", "Softmax")


def _over_samples(node: Node, constants: bool) -> Expansion:
    """`TimeDistributed` as one call of its layer in which each time step is a sample."""
    layer = node.op.layer
    _, steps, *sizes = node.inputs[0].shape
    if None in (steps, *sizes) and type(layer).__name__ in _POINTWISE:
        return [
            dataclasses.replace(node, op=layer, kwargs={}, path=f"{node.path}/{layer.name}")
        ], node.outputs
    if None in (steps, *sizes):
        raise ValueError("TimeDistributed loops over an open number of time steps")

    def call(x: Tensor) -> Tensor:
        y = layer(keras.ops.reshape(x, (-1, *sizes)))
        return keras.ops.reshape(y, (-1, steps, *y.shape[1:]))

    new_nodes, outputs = inline(node, call) or ([node], node.outputs)
    inner = _expand(Graph(node.path, node.inputs, tuple(new_nodes), outputs), constants)
    return inner.nodes, inner.outputs


def _inlined(node: Node, constants: bool) -> Expansion:
    if isinstance(node.op, keras.layers.TimeDistributed):
        return _over_samples(node, constants)
    outer = tensors_in((node.args, node.kwargs))
    if is_functional(node.op):
        inner = _edges(node.op, node.path + "/")
        if "training" in node.kwargs:
            inner = _with_training(inner, node.kwargs["training"])
    else:
        inner = _trace(node.op, node.args, node.kwargs, node.path + "/")
        outer = list({id(tensor): tensor for tensor in outer}.values())
    inner = _expand(inner, constants)
    values = dict(zip(map(id, tensors_in(inner.inputs)), outer, strict=True))
    return [inner_node.reading(values) for inner_node in inner.nodes], substitute(inner.outputs, values)


def _with_training(graph: Graph, training: bool | None) -> Graph:
    """`backbone(x, training=False)` keeps its batch norms in inference mode, and so must the opened layers."""

    def pass_on(node: Node) -> Expansion | None:
        if "training" in node.kwargs or "training" not in inspect.signature(node.op.call).parameters:
            return None
        return [dataclasses.replace(node, kwargs={**node.kwargs, "training": training})], node.outputs

    return graph.map_nodes(pass_on)
