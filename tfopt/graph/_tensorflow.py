"""Layers whose `call` is written with TensorFlow's functions, as functions of `keras.ops` and their own layers."""

import contextlib
from collections.abc import Iterator
from typing import Any

import keras
import numpy as np

from tfopt.graph._graph import Tensor, substitute, tensors_in
from tfopt.graph._layers import own_weights, sublayers
from tfopt.graph._tensorflow_nodes import node_function

# A size that is known when the model runs only.
_OPEN = object()


class NoCounterpart(ValueError):
    """An operation of TensorFlow that `keras.ops` lacks; its words fit in the cell of a report."""


def call_in_keras(layer: keras.layers.Layer, args: tuple, kwargs: dict) -> Any:
    """What `layer.call` computes, on Keras tensors: its TensorFlow graph is traced and done again in `keras.ops`.

    The layers that it calls are not traced into, so that they stay what they are. Weights of its own are constants.

    Args:
        layer: a custom layer.
        args: arguments with Keras tensors in them.
        kwargs: likewise.

    Raises:
        NoCounterpart: an operation has none, or the backend is not TensorFlow.
    """
    if keras.backend.backend() != "tensorflow":
        raise NoCounterpart("it runs on TensorFlow alone")
    import tensorflow as tf

    symbols = list({id(tensor): tensor for tensor in tensors_in((args, kwargs))}.values())
    called: dict[str, tuple] = {}
    made: list[Any] = []
    numbers = [(variable, variable.numpy()) for variable in own_weights(layer)]

    def call(*tensors: Any) -> list[Any]:
        fresh = dict(zip(map(id, symbols), tensors, strict=True))
        constants = [(variable, tf.constant(number)) for variable, number in numbers]
        with keras.StatelessScope(constants), _recording(layer, called):
            outputs = layer.call(*substitute(args, fresh), **substitute(kwargs, fresh))
        made.append(outputs)
        return keras.tree.flatten(outputs)

    specs = [tf.TensorSpec(tensor.shape, tensor.dtype) for tensor in symbols]
    traced = tf.function(call, autograph=False).get_concrete_function(*specs)
    values: dict[str, Any] = {
        placeholder.name: tensor for placeholder, tensor in zip(traced.inputs, symbols, strict=False)
    }
    for operation in _needed(traced.outputs, called):
        _run(operation, values, called)
    return keras.tree.map_structure(lambda tensor: values[tensor.name], made[-1])


def _needed(outputs: list[Any], called: dict[str, tuple]) -> list[Any]:
    """The operations that the outputs depend on, in an order in which they can run."""
    order: dict[str, Any] = {}
    pending = [(tensor.op, False) for tensor in reversed(outputs)]
    while pending:
        operation, is_ready = pending.pop()
        if operation.name in order:
            continue
        if is_ready:
            order[operation.name] = operation
            continue
        reads = list(operation.inputs)
        if operation.outputs[0].name in called:
            _, args, kwargs, _ = called[operation.outputs[0].name]
            reads = [leaf for leaf in keras.tree.flatten((args, kwargs)) if hasattr(leaf, "op")]
        pending.append((operation, True))
        pending.extend((tensor.op, False) for tensor in reads)
    return list(order.values())


@contextlib.contextmanager
def _recording(layer: keras.layers.Layer, called: dict[str, tuple]) -> Iterator[None]:
    """While it lasts the layers of `layer` compute nothing: each call leaves placeholders, and is remembered there."""
    children = sublayers(layer)
    try:
        for child in children:
            vars(child)["call"] = _recorder(child, called)  # not setattr, for Keras would track it
        yield
    finally:
        for child in children:
            vars(child).pop("call", None)


def _recorder(child: keras.layers.Layer, called: dict[str, tuple]) -> Any:
    import tensorflow as tf

    def call(*args: Any, **kwargs: Any) -> Any:
        reads = keras.tree.map_structure(
            lambda leaf: Tensor(tuple(leaf.shape), leaf.dtype.name) if isinstance(leaf, tf.Tensor) else leaf,
            (args, kwargs),
        )
        vars(child).pop("call")
        try:
            spec = child.compute_output_spec(*reads[0], **reads[1])
        finally:
            vars(child)["call"] = call
        outputs = keras.tree.map_structure(lambda one: tf.compat.v1.placeholder(one.dtype, one.shape), spec)
        for tensor in keras.tree.flatten(outputs):
            called[tensor.name] = (child, args, kwargs, outputs)
        return outputs

    return call


def _run(operation: Any, values: dict[str, Any], called: dict[str, tuple]) -> None:
    """Puts what an operation of the graph returns into `values`, by the names of its tensors."""
    import tensorflow as tf

    if not operation.outputs or operation.outputs[0].name in values:
        return
    first = operation.outputs[0]
    if first.name in called:
        child, args, kwargs, outputs = called[first.name]
        known = lambda leaf: values[leaf.name] if isinstance(leaf, tf.Tensor) else leaf  # noqa: E731
        args, kwargs = keras.tree.map_structure(known, (args, kwargs))
        made = keras.tree.flatten(child(*args, **kwargs))
        values.update(
            (tensor.name, one) for tensor, one in zip(keras.tree.flatten(outputs), made, strict=True)
        )
        return
    constant = tf.get_static_value(first)
    if constant is not None:
        values[first.name] = np.asarray(constant)
        return
    inputs = [values[tensor.name] for tensor in operation.inputs]
    if operation.type == "Reshape" and inputs[1] is _OPEN:
        inputs[1] = [-1 if size is None else size for size in first.shape]
    if operation.type == "Shape" or any(one is _OPEN for one in inputs):
        if not first.dtype.is_integer:
            raise NoCounterpart(f"its tf.{operation.type} depends on a size that is open")
        values[first.name] = _OPEN
        return
    function = node_function(operation.node_def)
    if function is None:
        raise NoCounterpart(f"its tf.{operation.type} has no counterpart in keras.ops")
    results = keras.tree.flatten(function(*inputs))
    values.update((tensor.name, one) for tensor, one in zip(operation.outputs, results, strict=True))
