"""Bits of the codes of each tensor: those of the model, and others between two `Requantize` layers."""

from tfopt.graph import Graph, Node, tensors_in
from tfopt.kernels._requantize_layer import Requantize


class Widths:
    """The bits of each tensor's codes.

    Args:
        graph: a captured graph.
        num_bits: bits of the model's activations.
    """

    def __init__(self, graph: Graph, num_bits: int) -> None:
        self.num_bits = num_bits
        self._bits: dict[int, int] = {}
        for node in graph.nodes:
            is_border = isinstance(node.op, Requantize)
            bits = (node.op.num_bits or num_bits) if is_border else self.read_by(node)
            self._bits.update((id(tensor), bits) for tensor in tensors_in(node.outputs))

    def of(self, tensor: object) -> int:
        """The bits of a tensor's codes."""
        return self._bits.get(id(tensor), self.num_bits)

    def read_by(self, node: Node) -> int:
        """The bits of the codes that a node's kernel reads."""
        return max(map(self.of, node.inputs), default=self.num_bits)
