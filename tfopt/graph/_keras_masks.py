"""Keras' masks: what a layer hangs on a tensor for the layers behind it, as an argument that a graph shows.

https://keras.io/guides/understanding_masking_and_padding/ says who makes a mask, who hands it on and who reads it. It
travels as an attribute of the tensor (`_keras_mask`), which no recorded call has among its arguments.
"""

import dataclasses
import inspect
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import keras

from tfopt.graph._graph import Node, Tensor, substitute, tensors_in
from tfopt.graph._record import inline


class Masks:
    """The mask of each tensor of a graph, as it is when the model runs.

    Args:
        given: the masks of the graph's inputs, by `id(tensor)`.
    """

    def __init__(self, given: Mapping[int, Tensor] | None = None) -> None:
        self._masks: dict[int, Tensor] = dict(given or {})

    def of(self, structure: Any) -> Any:
        """The mask of each tensor of a nest, or None."""
        return keras.tree.map_structure(lambda leaf: self._masks.get(id(leaf)), structure)

    def put(self, outputs: Any, masks: Sequence[Tensor | None]) -> None:
        """Hangs masks on the tensors of a nest."""
        pairs = zip(tensors_in(outputs), masks, strict=False)  # as Keras pairs them
        self._masks.update((id(tensor), mask) for tensor, mask in pairs if mask is not None)

    def take_off(self, keys: Iterable[int]) -> None:
        """Leaves tensors, by `id(tensor)`, without a mask for the calls that come."""
        for key in keys:
            self._masks.pop(key, None)

    def filled(self, node: Node) -> Node:
        """The call with the masks that `Layer.__call__` adds to its arguments: those that nobody gave."""
        given = _arguments(node)
        tensors = {name: value for name, value in given.items() if tensors_in(value)}
        if not any(id(tensor) in self._masks for tensor in tensors_in(tensors)):
            return node
        lone = len(tensors) == 1
        names = {"mask" if lone else f"{name}_mask": name for name in tensors}
        parameters = list(inspect.signature(node.op.call).parameters)
        args, kwargs = list(node.args), dict(node.kwargs)
        for mask, name in names.items():
            found = self.of(given[name])
            if mask not in parameters or given.get(mask) is not None or not tensors_in(found):
                continue
            if parameters.index(mask) < len(args):
                args[parameters.index(mask)] = found
            else:
                kwargs[mask] = found
        return dataclasses.replace(node, args=tuple(args), kwargs=kwargs)

    def behind(self, node: Node) -> Sequence[Node]:
        """Hangs on the outputs of a call the masks that its layer makes or hands on.

        Returns:
            The nodes that compute them.
        """
        op, outputs = node.op, tensors_in(node.outputs)
        if not getattr(op, "supports_masking", False) or all(id(one) in self._masks for one in outputs):
            return ()
        given = _arguments(node)
        first = next(iter(given.values()))
        mask = given.get("mask")
        previous = self.of(first) if mask is None else mask
        new_nodes, masks = _computed(node, first, previous)
        missing = [
            None if id(one) in self._masks else mask for one, mask in zip(outputs, masks, strict=False)
        ]
        self.put(node.outputs, missing)
        return new_nodes


def _arguments(node: Node) -> dict[str, Any]:
    """What a layer's `call` was given, by the names of its parameters; nothing for an operation without a layer."""
    if not isinstance(node.op, keras.layers.Layer):
        return {}
    signature = inspect.signature(node.op.call)
    named = any(one.kind is inspect.Parameter.VAR_KEYWORD for one in signature.parameters.values())
    kwargs = {key: one for key, one in node.kwargs.items() if named or key in signature.parameters}
    return dict(signature.bind_partial(*node.args, **kwargs).arguments)


def _computed(node: Node, first: Any, previous: Any) -> tuple[Sequence[Node], list[Tensor | None]]:
    """What a layer's `compute_mask` makes of its first argument and of the masks on it, and the nodes for that."""
    if type(node.op).compute_mask is keras.layers.Layer.compute_mask:
        return (), keras.tree.flatten(previous)
    place = Node(node.op, (first, previous), {}, None, f"{node.path}/mask")
    is_there: list[bool] = []

    def compute(*tensors: Tensor) -> list[Tensor] | None:
        values = dict(zip(map(id, place.inputs), tensors, strict=True))
        masks = keras.tree.flatten(node.op.compute_mask(*substitute((first, previous), values)))
        is_there.extend(mask is not None for mask in masks)
        return [mask for mask in masks if mask is not None] or None

    new_nodes, made = inline(place, compute) or ((), [])
    left = iter(made)
    return new_nodes, [next(left) if there else None for there in is_there]
