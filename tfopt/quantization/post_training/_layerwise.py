"""Post-training correction, layer by layer: each kernel sees the errors that the layers before it left."""

import dataclasses
from collections import Counter
from collections.abc import Callable
from typing import Any

import keras
import numpy as np

from tfopt._progress import progress
from tfopt._samples import count, gather
from tfopt.graph import Graph, Node, capture, clone_operation, copy_weights, kind, substitute, tensors_in
from tfopt.quantization.simulation._fake_quantize import FakeQuantize
from tfopt.quantization.simulation._quantized_lstm import QuantizedLSTM
from tfopt.quantization.simulation._quantized_weights import QuantizedWeights

# Bytes that the largest activation of all samples may take, and samples beyond which little is learned.
_MEMORY = 2**28
_SAMPLES = 512


@dataclasses.dataclass(frozen=True, eq=False)
class Visit:
    """A quantized kernel and what reaches it.

    Attributes:
        node: the call of the quantized layer.
        exact: the layer before quantization.
        exact_inputs: its inputs in the float network.
        inputs: its inputs in the quantized network, whose earlier layers are corrected already.
        follower: the only node that reads its output, or None.
        is_shared: whether other nodes call the same layer.
    """

    node: Node
    exact: keras.layers.Layer
    exact_inputs: np.ndarray
    inputs: np.ndarray
    follower: Node | None
    is_shared: bool


def visit_layers(model: keras.Model, samples: Any, amend: Callable[[Visit], None]) -> None:
    """Runs the float and the quantized network side by side, and stops at each kernel to let it be amended.

    Every operation runs once, so time is linear in their number; an activation is kept until its last reader ran.

    Args:
        model: what `quantize` returned, not trained since.
        samples: inputs, in any form that `fit` takes. At most 512 are used, fewer where activations are large.
        amend: changes the weights of the layer it is shown, and perhaps of the batch norm behind it. It is called
            once for each layer with a quantized kernel, in the order of the graph.
    """
    graph = capture(model)
    taken = _some(gather(samples, model.inputs, "calibration")[0], graph)
    pending = {id(node.op) for node in graph.nodes if isinstance(node.op, (QuantizedWeights, QuantizedLSTM))}
    calls = Counter(id(node.op) for node in graph.nodes)

    def before(node: Node, twin: keras.Operation, exact: Values, rounded: Values) -> None:
        if id(node.op) in pending:
            pending.remove(id(node.op))
            (tensor,) = node.inputs
            follower = graph.only_consumer(node.output)
            is_shared = calls[id(node.op)] > 1
            amend(Visit(node, twin, exact[id(tensor)], rounded[id(tensor)], follower, is_shared))

    with progress("Correcting layers", len(graph.nodes)) as advance:
        run_side_by_side(graph, taken, before, lambda *_: advance(1))


Values = dict[int, np.ndarray]
_Step = Callable[[Node, keras.Operation, Values, Values], Any]


def run_side_by_side(graph: Graph, samples: Any, before: _Step | None, after: _Step | None) -> None:
    """Runs the float and the quantized network on the same samples, operation by operation.

    Args:
        graph: of a quantized model.
        samples: inputs of the graph.
        before: called before each operation with its node, its float twin, and what the two networks hold by
            `id(tensor)`.
        after: called likewise when it has run.
    """
    exact = {id(tensor): value for tensor, value in _by_tensor(graph.inputs, samples)}
    rounded = dict(exact)
    # All of them first: amending a layer may change the batch norm behind it.
    twins = {id(node.op): _float_twin(node.op) for node in graph.nodes}
    readers = Counter(id(tensor) for node in graph.nodes for tensor in node.inputs)
    for node in graph.nodes:
        twin = twins[id(node.op)]
        if before is not None:
            before(node, twin, exact, rounded)
        exact.update(_run(twin, node, exact))
        rounded.update(_run(node.op, node, rounded))
        if after is not None:
            after(node, twin, exact, rounded)
        for tensor in node.inputs:
            readers[id(tensor)] -= 1
            if not readers[id(tensor)]:
                del exact[id(tensor)], rounded[id(tensor)]


def _some(samples: Any, graph: Graph) -> Any:
    """Samples spread evenly over all, as many as memory is given for."""
    total = count(samples)
    sizes = [
        int(np.prod([size or 1 for size in tensor.shape[1:]]))
        for node in graph.nodes
        for tensor in tensors_in(node.outputs)
    ]
    limit = max(1, min(_SAMPLES, _MEMORY // (4 * max(sizes, default=1))))
    rows = np.linspace(0, total - 1, min(total, limit)).astype(int)
    return keras.tree.map_structure(lambda array: array[rows], samples)


def _by_tensor(tensors: Any, arrays: Any) -> list[tuple[Any, np.ndarray]]:
    tensors = keras.tree.flatten(tensors)
    if isinstance(arrays, dict):
        return [(tensor, arrays[tensor.name]) for tensor in tensors]
    return list(zip(tensors, keras.tree.flatten(arrays), strict=True))


def _float_twin(op: keras.Operation) -> keras.Operation:
    """The operation as it was before quantization, with weights of its own where it can be amended."""
    if isinstance(op, QuantizedLSTM):
        return op.to_float()
    if isinstance(op, QuantizedWeights):
        stock = op.to_inference()
        stock.set_weights(op.get_weights())  # type: ignore[attr-defined]
        return stock
    if kind(op) == "BatchNormalization":
        copy = clone_operation(op)
        copy.build_from_config(op.get_build_config())
        copy_weights(op, copy)
        return copy
    return keras.layers.Identity() if isinstance(op, FakeQuantize) else op


def _run(op: keras.Operation, node: Node, values: dict[int, np.ndarray]) -> dict[int, np.ndarray]:
    kwargs = {} if isinstance(op, keras.layers.Identity) else substitute(node.kwargs, values)
    outputs = op(*substitute(node.args, values), **kwargs)
    found = [keras.ops.convert_to_numpy(array) for array in keras.tree.flatten(outputs)]
    return dict(zip(map(id, keras.tree.flatten(node.outputs)), found, strict=True))
