"""The simulation of a file's tensors: what each `FakeQuantize` layer of a quantized Keras model returns."""

import dataclasses
from typing import Any

import keras
import numpy as np

from tfopt._samples import count
from tfopt.graph import Evaluation, Graph, Node, capture, flatten_layers
from tfopt.kernels import IntegerActivations
from tfopt.runtimes._predict import run_eagerly


@dataclasses.dataclass(frozen=True, eq=False)
class SimulatedTensor:
    """What one call of a `FakeQuantize` layer returns: the tensor that a kernel of the file writes.

    Args:
        layer: the layer whose kernel it is, such as the convolution before a batch norm and a ReLU.
        names: the layers between the quantizer before it and this one, the nearest first.
        quantizer: the `FakeQuantize` layer.
        scale: size of a step.
        zero_point: the code of 0.0, counted from the lowest code.
        bits: bits of a code.
        shape: shape of one sample.
        is_input: whether no layer comes before it, so that it rounds an input of the model.

    Example:

    >>> SimulatedTensor("conv", ("relu", "conv"), "conv_quantize", 0.5, 128, 8, (4, 4, 2)).size
    32
    """

    layer: str
    names: tuple[str, ...]
    quantizer: str
    scale: float
    zero_point: int
    bits: int
    shape: tuple[int | None, ...]
    is_input: bool = False

    @property
    def size(self) -> int:
        """Values in one sample; 0 where an axis is left open."""
        return int(np.prod([side or 0 for side in self.shape]))


class Simulation:
    """A quantized Keras model that returns all of its quantized tensors.

    The model's own layers are called, in the order of its graph; nothing is copied or added to the model.

    Args:
        model: a Keras model. One without `FakeQuantize` layers has no tensors.

    Attributes:
        tensors: one for each call of a `FakeQuantize` layer, in the order of the graph.
    """

    def __init__(self, model: keras.Model) -> None:
        self.tensors: tuple[SimulatedTensor, ...] = ()
        if not any(isinstance(layer, IntegerActivations) for layer in flatten_layers(model)):
            return
        graph = capture(model)
        nodes = tuple(node for node in graph.nodes if isinstance(node.op, IntegerActivations))
        self.tensors = tuple(_describe(graph, node) for node in nodes)
        self._model = Evaluation(graph, [node.output for node in nodes])

    def run(self, x: Any) -> list[np.ndarray]:
        """The values of each of `tensors`, `(samples, ...)`.

        Args:
            x: what `gather` returned.
        """
        return [np.asarray(array, "float32") for array in run_eagerly(self._model, x, count(x))]


def _describe(graph: Graph, node: Node) -> SimulatedTensor:
    chain = _chain(graph, node)
    weighted = [op.name for op in chain if getattr(op, "weights", None)]
    names = tuple(op.name for op in chain) or (node.inputs[0].name,)
    step, zero_point = node.op.grid()  # type: ignore[attr-defined]
    return SimulatedTensor(
        layer=weighted[-1] if weighted else names[0],
        names=names,
        quantizer=node.op.name,
        scale=float(np.float32(step)),
        zero_point=round(float(zero_point)),
        bits=node.op.num_bits,  # type: ignore[attr-defined]
        shape=tuple(node.output.shape[1:]),
        is_input=not chain,
    )


def _chain(graph: Graph, node: Node) -> list[keras.Operation]:
    """The operations since the last quantizer or fork, the nearest first."""
    chain = []
    producer = graph.producers.get(id(node.inputs[0]))
    while producer is not None and not isinstance(producer.op, IntegerActivations):
        chain.append(producer.op)
        inputs = producer.inputs
        producer = graph.producers.get(id(inputs[0])) if len(inputs) == 1 else None
    return chain
