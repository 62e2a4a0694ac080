"""Gates of residual blocks: a block that is shut adds nothing."""

from collections.abc import Collection
from typing import Any

import keras
from keras import ops

from tfopt.graph import Expansion, Graph, Node, Operation, build_model
from tfopt.shrinking import residual_blocks


class BlockGate(keras.layers.Layer):
    """What a residual block adds, times a number: 1 as it is, 0 to leave the block out."""

    def build(self, input_shape: Any) -> None:
        self.gate = self.add_weight(shape=(), initializer="ones", trainable=False, name="gate")

    def call(self, inputs: Any) -> Any:
        return inputs * ops.cast(self.gate, inputs.dtype)


def with_gates(graph: Graph, paths: Collection[str]) -> tuple[keras.Model, dict[str, BlockGate]]:
    """A model of the graph's own layers, with a gate in each of some residual blocks.

    Args:
        graph: the graph.
        paths: of the additions of these blocks.

    Returns:
        The model, and the gates by these paths.

    >>> import keras
    >>> from tfopt.graph import capture
    >>> from tfopt.budgets._block_gates import with_gates
    >>> x = inputs = keras.Input((4,))
    >>> x = keras.layers.Add(name="sum")([x, keras.layers.Dense(4, name="f")(x)])
    >>> model, gates = with_gates(capture(keras.Model(inputs, x)), ["sum"])
    >>> gates["sum"].gate.assign(0.0).numpy(), model(keras.ops.ones((1, 4))).numpy().tolist()
    (np.float32(0.0), [[1.0, 1.0, 1.0, 1.0]])
    """
    skips = {block.path: block.skip for block in residual_blocks(graph)}
    gates: dict[str, BlockGate] = {}

    def expand(node: Node) -> Expansion | None:
        if node.path not in paths:
            return None
        (branch,) = (tensor for tensor in node.inputs if tensor is not skips[node.path])
        gate = gates[node.path] = BlockGate()
        shut = gate(branch)
        made = Node(gate, (branch,), {}, shut, f"{node.path}/gate")
        return [made, node.reading({id(branch): shut})], node.outputs

    return build_model(graph.map_nodes(expand), _as_it_is), gates


def _as_it_is(op: Operation, name: str) -> Operation:
    return op
