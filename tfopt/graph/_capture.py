"""Capture: any Keras model becomes a flat graph of primitive operations that share its layers and weights.

A Functional model has its calls on record (`_record`); a subclassed model or block is made Functional first, by running
its `call` on symbolic inputs.
"""

import dataclasses
import functools
import inspect
from collections.abc import Sequence
from typing import Any

import keras

from tfopt._keras_model import check_keras_model
from tfopt.graph._augmentations import augments
from tfopt.graph._graph import Expansion, Graph, Node, Operation, Tensor, substitute, tensors_in
from tfopt.graph._keras_masks import Masks
from tfopt.graph._layers import sublayers
from tfopt.graph._masked_merges import merged
from tfopt.graph._record import edges, inline, trace
from tfopt.graph._why_closed import Closed, in_short, why_closed


def capture(model: keras.Model, samples: Any = None, constants: bool = False) -> Graph:
    """The graph of a model: nested models, subclassed models and custom blocks opened into primitives.

    The nodes hold the model's own layers: a weight read through the graph is the model's. The model is not
    changed. What cannot be opened (recurrent layers, custom layers with weights of their own, code that
    is not `keras.ops`) stays one node, with the reason in `Node.opaque`. A layer class that sets
    `graph_primitive = True` stays one node too. Masks that Keras hangs on tensors (`Embedding(mask_zero=True)`,
    `Masking`) are arguments of the nodes that read them.

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
    check_keras_model(model)
    if is_functional(model):
        graph = edges(model, prefix="")
    else:
        inputs = _symbolic_inputs(model, samples)
        graph = trace(model, (inputs,), {}, prefix="")
        inputs = keras.tree.pack_sequence_as(inputs, graph.inputs)
        graph = dataclasses.replace(graph, inputs=inputs, outputs=graph.outputs[0])
    empty = next((one for one in tensors_in(graph.inputs) if 0 in one.shape), None)
    if empty is not None:
        raise ValueError(
            f"The inputs of the model {model.name!r} must hold at least one number for each sample. Got "
            f"{empty.name!r} of shape {tuple(empty.shape)}, with a dimension of size 0."
        )
    graph, _ = _expand(graph, constants, Masks())
    return dataclasses.replace(graph.without_unread(), name=model.name)


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


def _expand(graph: Graph, constants: bool, masks: Masks) -> tuple[Graph, list[Tensor | None]]:
    """Opens composite nodes until none is left that can be opened, and makes masks arguments.

    Args:
        graph: a graph.
        constants: see `capture`.
        masks: the masks of its inputs.

    Returns:
        The graph, and the mask on each of its outputs.
    """

    def expand(node: Node) -> Expansion | None:
        node = masks.filled(node)
        nodes, outputs = _opened(node, constants, masks)
        return [*nodes, *masks.behind(node)], outputs

    expanded, values = graph.map_tensors(expand)
    return expanded, substitute(masks.of(tensors_in(graph.outputs)), values)


def _opened(node: Node, constants: bool, masks: Masks) -> Expansion:
    """What a node comes apart into; itself, with the reason, where it does not."""
    by_mask = merged(node, masks.of(node.inputs))
    if by_mask is not None:
        return by_mask
    if augments(node.op):
        return [dataclasses.replace(node, drops=True)], node.outputs
    reason = why_closed(node.op, constants)
    if reason is None:
        try:
            nodes, outputs, found = _inlined(node, constants, masks)
            if _drops(node, (nodes, outputs)):
                return [dataclasses.replace(node, drops=True)], node.outputs
            masks.put(node.outputs, found)
            return nodes, outputs
        except Closed as error:
            reason = error.reason
        except ValueError as error:
            reason = in_short(error)
    return [dataclasses.replace(node, opaque=reason) if reason else node], node.outputs


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
    layer, x, mask = node.op.layer, node.args[0], node.kwargs.get("mask")
    _, steps, *sizes = x.shape
    if None in (steps, *sizes) and type(layer).__name__ in _POINTWISE:
        return [
            Node(layer, (x,), {}, node.outputs, f"{node.path}/{layer.name}"),
        ], node.outputs
    if None in (steps, *sizes):
        raise ValueError("TimeDistributed loops over an open number of time steps")
    reads_mask = mask is not None and "mask" in inspect.signature(layer.call).parameters

    def call(x: Tensor, *mask: Tensor) -> Tensor:
        of_steps = {}
        if mask:
            of_steps["mask"] = keras.ops.reshape(mask[0], (-1, *mask[0].shape[2:]))
        y = layer(keras.ops.reshape(x, (-1, *sizes)), **of_steps)
        return keras.ops.reshape(y, (-1, steps, *y.shape[1:]))

    node = dataclasses.replace(node, args=(x, mask) if reads_mask else (x,), kwargs={})
    new_nodes, outputs = inline(node, call) or ([node], node.outputs)
    inner, _ = _expand(Graph(node.path, node.inputs, tuple(new_nodes), outputs), constants, Masks())
    return inner.nodes, inner.outputs


def _inlined(node: Node, constants: bool, masks: Masks) -> tuple[Sequence[Node], Any, list[Tensor | None]]:
    """What `Graph.map_nodes` takes for a composite node, and the mask on each of its outputs."""
    if isinstance(node.op, keras.layers.TimeDistributed):
        return *_over_samples(node, constants), []
    if is_functional(node.op):
        outer = tensors_in((node.args, {key: one for key, one in node.kwargs.items() if key != "mask"}))
        hung = masks.of(outer) if node.kwargs.get("mask") is None else keras.tree.flatten(node.kwargs["mask"])
        inner = edges(node.op, node.path + "/")
        if "training" in node.kwargs:
            inner = _with_training(inner, node.kwargs["training"])
    else:
        of_inputs = {id(tensor): masks.of(tensor) for tensor in node.inputs}
        of_inputs = {key: mask for key, mask in of_inputs.items() if mask is not None}
        outer = list({id(tensor): tensor for tensor in (*node.inputs, *of_inputs.values())}.values())
        hung = [of_inputs.get(id(tensor)) for tensor in outer]
        inner = trace(node.op, node.args, node.kwargs, node.path + "/", of_inputs)
    pairs = zip(tensors_in(inner.inputs), hung, strict=True)
    inner, found = _expand(
        inner, constants, Masks({id(one): mask for one, mask in pairs if mask is not None})
    )
    outputs = inner.outputs
    if not is_functional(node.op):
        outputs, set_in_call, taken_off = outputs
        masks.take_off(key for key, is_off in zip(of_inputs, taken_off, strict=True) if is_off)
        found = [new if mask is None else mask for new, mask in zip(found, set_in_call, strict=False)]
    values = dict(zip(map(id, tensors_in(inner.inputs)), outer, strict=True))
    nodes = [inner_node.reading(values) for inner_node in inner.nodes]
    return nodes, substitute(outputs, values), substitute(found, values)


def _with_training(graph: Graph, training: bool | None) -> Graph:
    """`backbone(x, training=False)` keeps its batch norms in inference mode, and so must the opened layers."""

    def pass_on(node: Node) -> Expansion | None:
        if "training" in node.kwargs or "training" not in inspect.signature(node.op.call).parameters:
            return None
        return [dataclasses.replace(node, kwargs={**node.kwargs, "training": training})], node.outputs

    return graph.map_nodes(pass_on)
