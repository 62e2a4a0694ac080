"""The cells of LSTM layers, which no tensor of the graph shows, as tensors to observe."""

import dataclasses

import keras

from tfopt.graph import Expansion, Graph, Node, kind
from tfopt.quantization.simulation import CellStates


def with_cells(graph: Graph) -> tuple[Graph, dict[int, keras.KerasTensor]]:
    """The graph with each fused LSTM returning its cells too.

    Args:
        graph: a graph with recurrent layers opened (`open_recurrent`).

    Returns:
        A graph with the same tensors and the cells; and the cells of each layer, by `id(op)`.
    """
    cells: dict[int, keras.KerasTensor] = {}

    def expand(node: Node) -> Expansion | None:
        if kind(node.op) != "LSTM" or node.opaque:
            return None
        layer = CellStates.from_config(node.op.get_config())
        layer.build(node.inputs[0].shape)
        layer.set_weights(node.op.get_weights())
        cells[id(node.op)] = keras.KerasTensor(node.output.shape, node.output.dtype)
        outputs = (node.output, cells[id(node.op)])
        return [dataclasses.replace(node, op=layer, outputs=outputs)], node.output

    return graph.map_nodes(expand), cells
