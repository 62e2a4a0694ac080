"""The simulation of a file's tensors: what each `FakeQuantize` layer of a quantized Keras model returns."""

import dataclasses
import functools
import math
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
        shape: shape of what belongs to one sample; None where that is no part of the tensor.
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
    shape: tuple[int, ...] | None
    is_input: bool = False

    @property
    def size(self) -> int:
        """Values in one sample; 0 where they cannot be told from those of others."""
        return 0 if self.shape is None else math.prod(self.shape)


class Simulation:
    """A quantized Keras model that returns all of its quantized tensors.

    The model's own layers are called, in the order of its graph; nothing is copied or added to the model. What belongs
    to one sample is found by a run of one sample alone: windows of an image may lie on the axis of the samples, and
    that axis may be any.

    Args:
        model: a Keras model. One without `FakeQuantize` layers has no tensors.
        x: what `gather` returned.

    Attributes:
        tensors: one for each call of a `FakeQuantize` layer, in the order of the graph.
    """

    def __init__(self, model: keras.Model, x: Any) -> None:
        self.tensors: tuple[SimulatedTensor, ...] = ()
        if not any(isinstance(layer, IntegerActivations) for layer in flatten_layers(model)):
            return
        graph = capture(model)
        nodes = tuple(node for node in graph.nodes if isinstance(node.op, IntegerActivations))
        self._model = Evaluation(graph, [node.output for node in nodes])
        one, two = ([array.shape for array in self._outputs(_rows(x, size))] for size in (1, 2))
        self._axes = tuple(map(_axis_of_samples, one, two))
        shapes = (shape if axis is not None else None for shape, axis in zip(one, self._axes, strict=True))
        self.tensors = tuple(map(functools.partial(_describe, graph), nodes, shapes))

    def run(self, x: Any) -> list[np.ndarray]:
        """The values of each of `tensors`, `(samples, values)`.

        Args:
            x: what `gather` returned.
        """
        size = count(x)
        return [
            by_sample(np.asarray(array, "float32"), size, axis or 0)
            for array, axis in zip(self._outputs(x), self._axes, strict=True)
        ]

    def _outputs(self, x: Any) -> list[Any]:
        return run_eagerly(self._model, x, count(x))


def by_sample(array: np.ndarray, samples: int, axis: int) -> np.ndarray:
    """The values of a tensor, those of each sample in their order, `(samples, values)`.

    Args:
        array: the tensor.
        samples: their number.
        axis: the axis on which they lie, one after the other. Where its length is no multiple of theirs, the tensor
            has nothing of a sample, and no values.

    >>> by_sample(np.arange(8).reshape(2, 4), samples=2, axis=1).tolist()  # two windows of each sample beside another
    [[0, 1, 4, 5], [2, 3, 6, 7]]
    """
    sides = array.shape
    if not sides or sides[axis] % samples:
        return np.empty((samples, 0), array.dtype)
    apart = array.reshape(*sides[:axis], samples, sides[axis] // samples, *sides[axis + 1 :])
    return np.moveaxis(apart, axis, 0).reshape(samples, -1)


def _rows(x: Any, size: int) -> Any:
    """So many samples, the first of all again and again."""
    return keras.tree.map_structure(lambda array: np.repeat(array[:1], size, axis=0), x)


def _axis_of_samples(one: tuple[int, ...], two: tuple[int, ...]) -> int | None:
    """The axis on which twice as many samples are twice as many numbers; None where there is no such axis."""
    axes = [axis for axis, (side, twice) in enumerate(zip(one, two, strict=True)) if side != twice]
    return axes[0] if len(axes) == 1 and two[axes[0]] == 2 * one[axes[0]] else None


def _describe(graph: Graph, node: Node, shape: tuple[int, ...] | None) -> SimulatedTensor:
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
        shape=shape,
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
