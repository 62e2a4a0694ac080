"""A float network, opened where integer kernels round, that runs again with one thing changed."""

import dataclasses
from collections import ChainMap
from collections.abc import Callable, Mapping
from typing import Any

import keras
import numpy as np

from tfopt.graph import Graph, Node, capture, kind, substitute, tensors_in
from tfopt.kernels import IntegerActivations, IntegerWeights
from tfopt.quantization import QuantizedLSTM, QuantizedModel

# What stands in for an operation, by `id` of the quantized model's operation.
Change = Mapping[int, Callable[..., Any]]

# Bytes that all activations of a batch may take.
_MEMORY = 2**28
_LARGEST_BATCH = 64


@dataclasses.dataclass(frozen=True, eq=False)
class Spot:
    """A layer of the user's model: its kernels, and where its output is rounded.

    Attributes:
        path: the layer's path; an input's name.
        kind: what it is, as in `tfopt.graph.kind`; `"Input"` for an input.
        node: the call of the float layer; None without kernels.
        quantized: the quantized layer that takes its place; None where its weights stay float.
        quantizer: what rounds its output; None where that is another operation's.
        makes_output: whether no other layer with kernels reads what it makes.
    """

    path: str
    kind: str
    node: Node | None = None
    quantized: Any = None
    quantizer: Any = None
    makes_output: bool = False

    @property
    def kernels(self) -> list[keras.Variable]:
        """The weights with two axes or more, biases aside."""
        if self.node is None:
            return []
        return [w for w in self.node.op.weights if len(w.shape) > 1 and w.name != "bias"]  # type: ignore[attr-defined]


class Network:
    """The float network of a quantized model.

    Args:
        model: what `quantize` returned, not trained since. Its weights are not changed.
    """

    def __init__(self, model: QuantizedModel) -> None:
        self.graph = capture(model)
        self.operations = {id(node.op): _float_twin(node.op) for node in self.graph.nodes}
        self.spots = tuple(_spots(model, self.graph, self.operations))

    def inputs(self, x: Any) -> dict[int, Any]:
        """The inputs of a batch by `id(tensor)`."""
        return dict(_by_tensor(self.graph.inputs, x))

    def run(self, x: Any) -> dict[int, Any]:
        """Every tensor of the network for a batch, by `id(tensor)`."""
        values = self.inputs(x)
        for node in self.graph.nodes:
            values.update(_results(node, self.operations[id(node.op)], values))
        return values

    def outputs(self, values: Mapping[int, Any]) -> list[Any]:
        """The outputs among the tensors."""
        return [values[id(tensor)] for tensor in tensors_in(self.graph.outputs)]

    def run_changed(self, values: Mapping[int, Any], change: Change) -> Mapping[int, Any]:
        """The tensors with some operations changed: only what depends on these, or is not there, is computed."""
        found: dict[int, Any] = {}
        every = ChainMap(found, values)  # type: ignore[arg-type]
        for node in self.graph.nodes:
            key = id(node.op)
            known = all(id(tensor) in values for tensor in tensors_in(node.outputs))
            if key in change or not known or any(id(tensor) in found for tensor in node.inputs):
                found.update(_results(node, change.get(key, self.operations[key]), every))
        return every

    def first_changed(self, values: Mapping[int, Any], change: Change) -> tuple[Any, Any]:
        """What the first changed operation returns on the float network's tensors: as it was, and changed."""
        node = next(node for node in self.graph.nodes if id(node.op) in change)
        (before, *_), (after, *_) = (
            list(source.values())
            for source in (_own(node, values), _results(node, change[id(node.op)], values))
        )
        return before, after

    def batch_size(self) -> int:
        """How many samples fit in memory with all their activations."""
        tensors = [tensor for node in self.graph.nodes for tensor in tensors_in(node.outputs)]
        each = sum(int(np.prod([size or 1 for size in tensor.shape[1:]])) for tensor in tensors)
        return int(np.clip(_MEMORY // (8 * max(each, 1)), 1, _LARGEST_BATCH))


def _own(node: Node, values: Mapping[int, Any]) -> dict[int, Any]:
    return {id(tensor): values[id(tensor)] for tensor in tensors_in(node.outputs)}


def _results(node: Node, operation: Callable[..., Any], values: Mapping[int, Any]) -> dict[int, Any]:
    outputs = operation(*substitute(node.args, values), **substitute(node.kwargs, values))
    return dict(zip(map(id, keras.tree.flatten(node.outputs)), keras.tree.flatten(outputs), strict=True))


def _by_tensor(tensors: Any, arrays: Any) -> list[tuple[int, Any]]:
    places = keras.tree.flatten(tensors)
    given = [arrays[one.name] for one in places] if isinstance(arrays, dict) else keras.tree.flatten(arrays)
    return [
        (id(tensor), keras.ops.convert_to_tensor(array, dtype=tensor.dtype))
        for tensor, array in zip(places, given, strict=True)
    ]


def _unrounded(inputs: Any, *args: Any, **kwargs: Any) -> Any:
    return inputs


def _float_twin(op: Any) -> Callable[..., Any]:
    """The operation as it was before quantization, with the float weights."""
    if isinstance(op, IntegerActivations):
        return _unrounded
    if isinstance(op, QuantizedLSTM):
        return op.to_float()
    if isinstance(op, IntegerWeights):
        twin = op.to_inference()  # type: ignore[attr-defined]
        twin.set_weights(op.get_weights())  # type: ignore[attr-defined]
        return twin
    return op


def _spots(model: QuantizedModel, graph: Graph, operations: Mapping[int, Any]) -> list[Spot]:
    """The inputs, then the layers with kernels or a grid of their own, in the order of the graph."""
    rows = model.placed.layers if model.placed is not None else ()
    named = {row.weights: row for row in rows if row.weights}
    rounded = {row.quantizer: row for row in rows if row.quantizer}
    quantizers: dict[str, Any] = {
        node.op.name: node.op for node in graph.nodes if issubclass(type(node.op), IntegerActivations)
    }
    last = _makers_of_outputs(graph)
    found: dict[str, Spot] = {}
    for tensor in tensors_in(graph.inputs):
        reader = next((node.op for node in graph.consumers[id(tensor)] if node.op.name in quantizers), None)
        if reader is not None and reader.name not in rounded:
            # Keras calls inputs without a name keras_tensor_12.
            name = "input" if tensor.name.startswith("keras_tensor") else tensor.name
            found.setdefault(name, Spot(name, "Input", quantizer=reader))
    for node in graph.nodes:
        op = node.op
        if op.name in quantizers:
            row = rounded.get(op.name)
            if row is not None and row.path not in found:
                found[row.path] = Spot(row.path, row.kind, quantizer=op)
            continue
        spot = Spot(op.name, kind(op), node=dataclasses.replace(node, op=operations[id(op)]))
        if not isinstance(op, keras.layers.Layer) or not spot.kernels:
            continue
        row = named.get(op.name)
        path, quantizer = (row.path, row.quantizer) if row is not None else (node.path, "")
        found.setdefault(
            path,
            dataclasses.replace(
                spot,
                path=path,
                quantized=op if row is not None else None,
                quantizer=quantizers.get(quantizer),
                makes_output=id(op) in last,
            ),
        )
    return list(found.values())


def _makers_of_outputs(graph: Graph) -> set[int]:
    """`id(op)` of the layers with kernels behind which no other stands."""
    wanted, found = set(graph.output_ids), set()
    for node in reversed(graph.nodes):
        if not wanted & {id(tensor) for tensor in tensors_in(node.outputs)}:
            continue
        if isinstance(node.op, keras.layers.Layer) and any(len(w.shape) > 1 for w in node.op.weights):
            found.add(id(node.op))
        else:
            wanted |= {id(tensor) for tensor in node.inputs}
    return found
