"""All steps of the recurrent layers of a graph as one."""

from collections import defaultdict
from typing import Any

import keras
import numpy as np
from keras import layers

from tfopt.graph import Graph, Node, kind, substitute, tensors_in
from tfopt.kernels import StepState
from tfopt.quantization.simulation import FakeQuantize


def after(before: str) -> str:
    """The name of the output that goes with a state's input.

    >>> after("gru_state_before")
    'gru_state_after'
    """
    return f"{before.removesuffix('_before')}_after"


class OneStep:
    """All steps of a graph as one: calls of one operation with the same arguments are the same.

    From the second step on, a step reads what the step before it wrote. Once all steps read one input in place of that,
    they do the same to the same, and fall together.

    Args:
        whole: the graph of a quantized model, with a `StepState` before each step.

    Attributes:
        before: the input of each state, by its name.
        after: what the step makes of it.
        timed: names of the inputs of which a step reads a part.
        sites: the sites of quantizers that are left, `(name, site)`, once `graph` was called.
    """

    def __init__(self, whole: Graph) -> None:
        self.whole = whole
        self.values: dict[int, Any] = {}
        self.made: dict[str, Any] = {}
        self.nodes: list[Node] = []
        self.before: dict[str, keras.KerasTensor] = {}
        self.after: dict[str, keras.KerasTensor] = {}
        self.sites: set[tuple[str, int]] = set()
        self.timed = _timed_inputs(whole)
        for tensor in tensors_in(whole.inputs):
            shape = tensor.shape
            if tensor.name in self.timed:
                shape = (shape[0], 1, *shape[2:])
            self.values[id(tensor)] = keras.KerasTensor(shape, tensor.dtype, name=tensor.name)

    def walk(self) -> None:
        """Visits all nodes; raises ValueError where a state has no second step."""
        calls: dict[str, list[Node]] = defaultdict(list)
        for node in self.whole.nodes:
            if isinstance(node.op, StepState):
                calls[node.op.name].append(node)
        for name, nodes in calls.items():
            self._begin(name, nodes)
        for node in self.whole.nodes:
            if isinstance(node.op, StepState):
                self._mark(node, calls[node.op.name])
            else:
                self._visit(node.reading(self.values), node)

    def _begin(self, name: str, nodes: list[Node]) -> None:
        """The input of a state, rounded by the quantizer that rounds the state."""
        first, tensor = self.whole.producers[id(nodes[0].inputs[0])], nodes[0].output
        if len(nodes) < 2 or not isinstance(first.op, FakeQuantize):
            raise ValueError(
                f"The 'model' argument must have two steps or more, without a mask. Got one of which {name!r} cannot "
                "be handed from step to step. Quantize a model of whole sequences: from one step no range is known."
            )
        self.before[name] = keras.KerasTensor(tensor.shape, tensor.dtype, name=name)
        rounded = keras.KerasTensor(tensor.shape, tensor.dtype)
        # The site of the zeros that begin a sequence, which no step computes.
        kwargs = {"site": first.kwargs.get("site", 0), "ties": "up"}
        self.nodes.append(Node(first.op, (self.before[name],), kwargs, rounded, first.path))
        self.values.update((id(node.output), rounded) for node in nodes)

    def _mark(self, node: Node, calls: list[Node]) -> None:
        if node is calls[1]:
            self.after[node.op.name] = self.values[id(node.inputs[0])]

    def _visit(self, node: Node, old: Node) -> None:
        reads = node.inputs
        if kind(node.op) == "Unstack" and node.op.axis == 1:
            node = self._reshaped(node, reads[0], old.inputs[0].shape[2:])
            self.values.update((id(tensor), node.outputs) for tensor in tensors_in(old.outputs))
        elif kind(node.op) == "Stack" and node.op.axis == 1 and len(set(map(id, reads))) == 1 < len(reads):
            node = self._reshaped(node, reads[0], (1, *old.output.shape[2:]))
            self.values[id(old.output)] = node.outputs
        else:
            key = _key(node)
            if key not in self.made:
                self.made[key] = node.outputs
                self.nodes.append(node)
            pairs = zip(tensors_in(old.outputs), tensors_in(self.made[key]), strict=True)
            self.values.update((id(theirs), ours) for theirs, ours in pairs)

    def _reshaped(self, node: Node, source: keras.KerasTensor, shape: tuple[int, ...]) -> Node:
        layer = layers.Reshape(shape, name=f"{node.op.name}_step")
        output = keras.KerasTensor((source.shape[0], *shape), source.dtype)
        made = Node(layer, (source,), {}, output, f"{node.path}_step")
        self.nodes.append(made)
        return made

    def graph(self) -> Graph:
        """The graph of a step."""
        ends = [
            Node(StepState(name=name), (tensor,), {}, keras.KerasTensor(tensor.shape, tensor.dtype), name)
            for name, tensor in zip(map(after, self.after), self.after.values(), strict=True)
        ]
        states = {node.path: node.outputs for node in ends}
        inputs = _with(substitute(self.whole.inputs, self.values), self.before)
        outputs = _with(substitute(self.whole.outputs, self.values), states)
        graph = Graph(self.whole.name, inputs, (*self.nodes, *ends), outputs).without_unread()
        begun = {id(tensor) for tensor in self.before.values()}
        self.sites = {
            (node.op.name, node.kwargs.get("site", 0))
            for node in graph.nodes
            if isinstance(node.op, FakeQuantize) and id(node.inputs[0]) not in begun
        }
        return graph


def _with(structure: Any, more: dict[str, keras.KerasTensor]) -> Any:
    """A model's inputs or outputs, and more behind them."""
    if isinstance(structure, dict):
        return {**structure, **more}
    return [*tensors_in(structure), *more.values()]


def _key(node: Node) -> str:
    """What two calls have in common that compute the same."""
    op = node.op
    kwargs = {name: one for name, one in node.kwargs.items() if name != "site"}
    config = {} if isinstance(op, keras.layers.Layer) else {**op.get_config(), "name": type(op).__name__}
    identity = id(op) if isinstance(op, keras.layers.Layer) else sorted(config.items(), key=str)
    return repr((identity, keras.tree.map_structure(_leaf, (node.args, kwargs))))


def _leaf(leaf: Any) -> Any:
    if isinstance(leaf, keras.KerasTensor):
        return "tensor", id(leaf)
    return (leaf.dtype, leaf.shape, leaf.tobytes()) if isinstance(leaf, np.ndarray) else leaf


def _timed_inputs(graph: Graph) -> set[str]:
    """The names of the inputs from which sequences come."""
    found: set[str] = set()
    seen: set[int] = set()
    unstacked = [node for node in graph.nodes if kind(node.op) == "Unstack" and node.op.axis == 1]
    pending = [tensor for node in unstacked for tensor in node.inputs]
    steps = {tensor.shape[1] for tensor in pending}
    while pending:
        tensor = pending.pop()
        if id(tensor) in seen:
            continue
        seen.add(id(tensor))
        if id(tensor) in graph.producers:
            pending.extend(graph.producers[id(tensor)].inputs)
        elif len(tensor.shape) > 1 and tensor.shape[1] in steps:
            found.add(tensor.name)
    return found
