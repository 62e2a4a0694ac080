"""Lowering of reshapes: sums and products of what was reshaped."""

import dataclasses
import math

import keras
from keras import layers

from tfopt.graph import Expansion, Graph, Node, kind
from tfopt.kernels import RELUS, ConstantFakeQuantize

_SUMS = ("Add", "Subtract", "Multiply", "Divide", "TrueDivide")
_RESHAPES = ("Reshape", "Flatten", "Ravel", "Squeeze", "ExpandDims")


def sink_reshapes(graph: Graph) -> Graph:
    """Each sum or product of two tensors that were reshaped alike, reshaped after it.

    The converter moves reshapes behind them as well, but when both tensors are on one grid, and a square's always are,
    it takes that grid for the result too: it then refuses the model, or clips what does not fit.

    Args:
        graph: the graph of an inference model with its grids.

    Returns:
        A graph that computes the same.
    """

    def expand(node: Node) -> Expansion | None:
        found = [_before_reshape(graph, tensor) for tensor in node.inputs] if kind(node.op) in _SUMS else []
        shapes = {(chain[0].inputs[0].shape, chain[-1].output.shape) for chain in found if chain}
        if len(found) != 2 or not all(found) or len(shapes) != 1:
            return None
        nodes: list[Node] = []
        moved: dict[int, keras.KerasTensor] = {}
        for tensor, chain in zip(node.inputs, found, strict=True):
            if id(tensor) not in moved:
                again = _on_source(chain)
                moved[id(tensor)] = again[-1].output if again else chain[0].inputs[0]
                nodes += again
        result = keras.KerasTensor(found[0][0].inputs[0].shape, node.output.dtype)
        nodes.append(dataclasses.replace(node.reading(moved), outputs=result))
        reshape = layers.Reshape(node.output.shape[1:], name=f"{node.op.name}_reshaped")
        nodes.append(Node(reshape, (result,), {}, node.outputs, f"{node.path}/{reshape.name}"))
        return nodes, node.outputs

    return graph.map_nodes(expand)


def _before_reshape(graph: Graph, tensor: keras.KerasTensor) -> list[Node]:
    """The nodes from the first reshape to `tensor`, with nothing but elementwise ones between; none if it is not so."""
    chain: list[Node] = []
    found = 0
    while (producer := graph.producers.get(id(tensor))) is not None:
        known = isinstance(producer.op, ConstantFakeQuantize) or kind(producer.op) in (*RELUS, *_RESHAPES)
        if not known or not _keeps_samples(producer):
            break
        chain.append(producer)
        found = len(chain) if kind(producer.op) in _RESHAPES else found
        tensor = producer.inputs[0]
    return chain[:found][::-1]


def _keeps_samples(node: Node) -> bool:
    """Whether all of a sample is in the same sample of the output."""
    sizes = [shape[1:] for shape in (node.inputs[0].shape, node.output.shape)]
    return None not in (*sizes[0], *sizes[1]) and math.prod(sizes[0]) == math.prod(sizes[1])


def _on_source(chain: list[Node]) -> list[Node]:
    """The elementwise nodes behind a reshape, on what it reads."""
    tensor, nodes = chain[0].inputs[0], []
    for node in chain:
        if kind(node.op) not in _RESHAPES:
            output = keras.KerasTensor(tensor.shape, node.output.dtype)
            nodes.append(dataclasses.replace(node, args=(tensor,), outputs=output))
            tensor = output
    return nodes
