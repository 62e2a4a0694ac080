"""The graph itself: nodes that call an operation, edges that are Keras tensors."""

import dataclasses
import functools
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import keras
from keras import KerasTensor as Tensor
from keras import Operation


def tensors_in(structure: Any) -> list[Tensor]:
    """The Keras tensors inside any nest of lists, tuples and dicts, in order."""
    return [leaf for leaf in keras.tree.flatten(structure) if isinstance(leaf, Tensor)]


def substitute(structure: Any, values: Mapping[int, Any]) -> Any:
    """`structure` with each Keras tensor replaced by `values[id(tensor)]`, where there is one."""
    return keras.tree.map_structure(
        lambda leaf: values.get(id(leaf), leaf) if isinstance(leaf, Tensor) else leaf, structure
    )


@dataclasses.dataclass(frozen=True, eq=False)
class Node:
    """One call of one operation. A shared layer has one node per call.

    Attributes:
        op: the Keras layer, or the `keras.ops` operation, that is called.
        args: positional arguments; Keras tensors in them are the edges.
        kwargs: keyword arguments, likewise.
        outputs: what the call returns: a Keras tensor or a nest of them.
        path: the operation's path in the captured model, such as `"backbone/conv1"`.
        opaque: why a composite operation could not be opened; else `""`.
        drops: whether it acts only in training and returns its input in inference: a custom layer, or one of Keras'
            that change images.
    """

    op: Operation
    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    outputs: Any
    path: str
    opaque: str = ""
    drops: bool = False

    def reading(self, values: Mapping[int, Any]) -> "Node":
        """This node with its input tensors replaced by `values[id(tensor)]`, where there is one."""
        if not any(id(tensor) in values for tensor in self.inputs):
            return self
        return dataclasses.replace(
            self, args=substitute(self.args, values), kwargs=substitute(self.kwargs, values)
        )

    @functools.cached_property
    def inputs(self) -> list[Tensor]:
        """The Keras tensors among the arguments."""
        return tensors_in((self.args, self.kwargs))

    @property
    def output(self) -> Tensor:
        """The only output; use `outputs` for operations with several."""
        (tensor,) = tensors_in(self.outputs)
        return tensor


@dataclasses.dataclass(frozen=True, eq=False)
class Graph:
    """A model as a list of nodes in an order in which they can run.

    Attributes:
        name: the model's name.
        inputs: the model's inputs: a Keras tensor or a nest of them.
        nodes: the calls, each after the nodes that feed it.
        outputs: the model's outputs, of any structure.
    """

    name: str
    inputs: Any
    nodes: tuple[Node, ...]
    outputs: Any

    @functools.cached_property
    def producers(self) -> dict[int, Node]:
        """The node that makes each tensor, by `id(tensor)`; the graph's inputs have none."""
        return {id(tensor): node for node in self.nodes for tensor in tensors_in(node.outputs)}

    @functools.cached_property
    def consumers(self) -> dict[int, list[Node]]:
        """The nodes that read each tensor, by `id(tensor)`. Being a model output does not count."""
        found: dict[int, list[Node]] = defaultdict(list)
        for node in self.nodes:
            for tensor in node.inputs:
                found[id(tensor)].append(node)
        return found

    @functools.cached_property
    def output_ids(self) -> set[int]:
        """`id` of each tensor that the model returns."""
        return {id(tensor) for tensor in tensors_in(self.outputs)}

    def only_consumer(self, tensor: Tensor) -> Node | None:
        """The one node that reads `tensor`, or None where several do, none does, or it is a model output."""
        readers = self.consumers.get(id(tensor), [])
        return readers[0] if len(readers) == 1 and id(tensor) not in self.output_ids else None

    def lone_pairs(self) -> Iterator[tuple[Node, Node]]:
        """Two nodes of which the second alone reads the first, each the only call of its operation."""
        calls = Counter(id(node.op) for node in self.nodes)
        for node in self.nodes:
            before = self.producers.get(id(node.inputs[0])) if node.inputs else None
            if before is None or self.only_consumer(node.inputs[0]) is not node:
                continue
            if calls[id(before.op)] == calls[id(node.op)] == 1:
                yield before, node

    def map_nodes(self, expand: Callable[[Node], "Expansion | None"]) -> "Graph":
        """A graph in which each node is replaced by what `expand(node)` returns.

        Args:
            expand: returns None to keep the node, or new nodes and the tensors that replace the old node's outputs. It
                sees the old graph's tensors, and so may refer to the old node's inputs.

        Returns:
            A new graph; nodes that are kept read the replaced tensors.
        """
        return self.map_tensors(expand)[0]

    def map_tensors(self, expand: Callable[[Node], "Expansion | None"]) -> tuple["Graph", dict[int, Any]]:
        """The graph that `map_nodes` makes; and what became of each tensor that it replaced, by `id(tensor)`."""
        values: dict[int, Any] = {}
        nodes: list[Node] = []
        for node in self.nodes:
            expansion = expand(node)
            new_nodes, outputs = expansion or ([node], node.outputs)
            nodes.extend(new.reading(values) for new in new_nodes)
            if expansion is not None and outputs is not node.outputs:
                made = tensors_in(substitute(outputs, values))
                values.update(zip(map(id, tensors_in(node.outputs)), made, strict=True))
        graph = dataclasses.replace(self, nodes=tuple(nodes), outputs=substitute(self.outputs, values))
        return graph, values

    def without_unread(self) -> "Graph":
        """The graph without nodes of which nothing reads an output, as Keras leaves them out of a model."""
        read = set(self.output_ids)
        kept: list[Node] = []
        for node in reversed(self.nodes):
            if any(id(tensor) in read for tensor in tensors_in(node.outputs)):
                read.update(map(id, node.inputs))
                kept.append(node)
        return dataclasses.replace(self, nodes=tuple(reversed(kept)))


Expansion = tuple[Sequence[Node], Any]
