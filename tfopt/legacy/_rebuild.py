"""Rebuilds a Keras 2 model: each call of a layer becomes a call of the Keras 3 layer for it."""

from collections.abc import Callable, Iterator
from typing import Any

import keras

from tfopt._keras_model import is_keras2
from tfopt.legacy._keras2 import is_a, plain
from tfopt.legacy._layers import call_arguments, new_layer
from tfopt.legacy._node_defs import node_operation
from tfopt.legacy._operations import operation, reject_lambda, threshold
from tfopt.legacy._weights import Weight, set_weights
from tfopt.legacy._wrappers import unwrap

# Layers that become functions, by the name of their class or of a base class.
_FUNCTIONS: dict[str, Callable[[Any], Any]] = {
    "Lambda": reject_lambda,
    "QuantizeLayer": lambda layer: lambda inputs: inputs,
    "ThresholdedReLU": threshold,
    "SlicingOpLambda": operation,
    "TFOpLambda": operation,
    "TensorFlowOpLayer": node_operation,
}


class Rebuild:
    """Makes the Keras 3 objects for a Keras 2 model; a shared layer is made once."""

    def __init__(self) -> None:
        self._made: dict[int, Callable[..., Any]] = {}
        self._weights: list[tuple[keras.layers.Layer, list[Weight]]] = []

    def model(self, old: Any) -> keras.Model:
        """The Keras 3 model for a Keras 2 model, with its weights.

        Args:
            old: a Sequential or Functional model whose inputs are known.

        Raises:
            ValueError: it is neither, or a part of it has no counterpart.
        """
        new = self._structure(old)
        for layer, weights in self._weights:
            set_weights(layer, weights)
        return new

    def _structure(self, old: Any) -> keras.Model:
        if not getattr(old, "_is_graph_network", False):
            raise ValueError(
                f"The model {old.name!r} ({type(old).__name__}) has no graph of layers. Expected a Sequential or "
                "Functional model. If it is Sequential, call it on data first; rewrite a subclassed one with "
                "tf_keras.Model(inputs, outputs)."
            )
        sequential = self._sequential(old)
        return self._functional(old) if sequential is None else sequential

    def _sequential(self, old: Any) -> keras.Model | None:
        """The new Sequential model, or None if one of its layers becomes a function."""
        if not is_a(old, "Sequential"):
            return None
        steps = [self._operation(layer) for layer in old.layers if not is_a(layer, "QuantizeLayer")]
        if not all(isinstance(step, keras.layers.Layer) for step in steps):
            return None
        start = old._nodes_by_depth[max(old._nodes_by_depth)][0].layer
        return keras.Sequential([_input(start), *steps], name=_name(old))

    def _functional(self, old: Any) -> keras.Model:
        tensors: dict[int, Any] = {}
        for depth in sorted(old._nodes_by_depth, reverse=True):
            for node in old._nodes_by_depth[depth]:
                outputs = _input(node.layer) if node.is_input else self._call(node, tensors)
                if not isinstance(node.outputs, (list, tuple, dict)):
                    tensors[id(node.outputs)] = outputs  # the sizes of a tensor are in a tuple
                    continue
                pairs = zip(_flatten(plain(node.outputs)), _flatten(outputs), strict=True)
                tensors.update((id(theirs), ours) for theirs, ours in pairs)
        inputs, outputs = (_substitute(ends, tensors) for ends in (old._nested_inputs, old._nested_outputs))
        return keras.Model(inputs, outputs, name=_name(old))

    def _call(self, node: Any, tensors: dict[int, Any]) -> Any:
        layer = self._operation(node.layer)
        args, kwargs = (_substitute(part, tensors) for part in (node.call_args, node.call_kwargs))
        if isinstance(layer, keras.layers.Layer):
            args, kwargs = call_arguments(node.layer, layer, args, kwargs)
            return layer(*args, **kwargs)
        known = {id(tensor) for tensor in _flatten([args, kwargs])}
        outputs = layer(*args, **kwargs)
        _name_operations(outputs, known, node.layer.name)
        return outputs

    def _operation(self, old: Any) -> Callable[..., Any]:
        if id(old) not in self._made:
            self._made[id(old)] = self._make(old)
        return self._made[id(old)]

    def _make(self, old: Any) -> Callable[..., Any]:
        if is_keras2(old):
            return self._structure(old)
        for name, build in _FUNCTIONS.items():
            if is_a(old, name):
                return build(old)
        inner, weights = unwrap(old)
        new = new_layer(inner, self._structure)
        self._weights.append((new, weights))
        return new


def _input(old: Any) -> keras.KerasTensor:
    config = old.get_config()
    if config.get("ragged"):
        raise ValueError(
            f"The input {old.name!r} is ragged, which the int8 kernels and most Keras 3 layers do not take. "
            "Expected a dense input: pad the sequences, and mask the padding."
        )
    shape = plain(config["batch_input_shape"])
    return keras.Input(batch_shape=shape, dtype=config["dtype"], sparse=config["sparse"], name=_name(old))


def _name(old: Any) -> str:
    return old.name.replace("/", "_")


def _name_operations(outputs: Any, known: set[int], name: str) -> None:
    """Names the operations of the outputs after the Keras 2 layer: Keras 3's own names may clash with layers."""
    pending = list(_flatten(outputs))
    named: set[int] = set()
    while pending:
        tensor = pending.pop()
        if id(tensor) in known or not isinstance(tensor, keras.KerasTensor):
            continue
        made = tensor._keras_history.operation
        if id(made) not in named:
            made.name = f"{name}.{len(named)}" if named else name
            named.add(id(made))
            pending.extend(keras.tree.flatten(made.input))


def _substitute(part: Any, tensors: dict[int, Any]) -> Any:
    """The structure with Keras 3 tensors in place of the Keras 2 tensors."""
    if isinstance(part, dict):
        return {key: _substitute(item, tensors) for key, item in part.items()}
    if isinstance(part, tuple):
        return tuple(_substitute(item, tensors) for item in part)
    if isinstance(part, list):
        return [_substitute(item, tensors) for item in part]
    return tensors.get(id(part), plain(part))


def _flatten(part: Any) -> Iterator[Any]:
    if isinstance(part, dict):
        part = [part[key] for key in sorted(part)]
    if isinstance(part, (list, tuple)):
        for item in part:
            yield from _flatten(item)
    else:
        yield part
