"""Layouts: which axes of a weight are positions, inputs and outputs, so that a pattern fits every layer."""

import dataclasses
import math
from collections.abc import Callable
from typing import Any

import keras
from keras import ops

_L = keras.layers


@dataclasses.dataclass(frozen=True)
class Layout:
    """How a weight is turned into an array of shape (positions, inputs, outputs), and back.

    Args:
        shape: the weight's shape.
        inputs: axes that are summed over, as non-negative numbers.
        outputs: axes that index output channels. The rest are positions, such as a convolution's taps.

    >>> from tfopt.pruning import Layout
    >>> layout = Layout((3, 3, 8, 16), inputs=(2,), outputs=(3,))
    >>> layout.to_matrix(keras.ops.ones((3, 3, 8, 16))).shape
    TensorShape([9, 8, 16])
    """

    shape: tuple[int, ...]
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]

    @property
    def positions(self) -> tuple[int, ...]:
        """The axes that are neither inputs nor outputs."""
        return tuple(a for a in range(len(self.shape)) if a not in self.inputs and a not in self.outputs)

    @property
    def full_shape(self) -> tuple[int, int, int]:
        """(positions, inputs, outputs) of the whole weight."""
        sizes = (math.prod(self.shape[a] for a in axes) for axes in self._order)
        return tuple(sizes)  # type: ignore[return-value]

    @property
    def matrix_shape(self) -> tuple[int, int, int]:
        """(positions, inputs, outputs) of the array that patterns read."""
        return self.full_shape

    @property
    def _order(self) -> tuple[tuple[int, ...], ...]:
        return self.positions, self.inputs, self.outputs

    @property
    def _permutation(self) -> tuple[int, ...]:
        return sum(self._order, ())

    @property
    def in_order(self) -> bool:
        """Whether the array has the weight's elements in the weight's order, so that no layout is needed."""
        return type(self) is Layout and self._permutation == tuple(range(len(self.shape)))

    def to_matrix(self, weight: Any) -> Any:
        """The weight as (positions, inputs, outputs)."""
        order = self._permutation
        if order != tuple(range(len(order))):
            weight = ops.transpose(weight, order)
        return ops.reshape(weight, self.full_shape)

    def from_matrix(self, matrix: Any) -> Any:
        """The reverse of `to_matrix`, for masks."""
        order = self._permutation
        weight = ops.reshape(matrix, [self.shape[a] for a in order])
        if order != tuple(range(len(order))):
            weight = ops.transpose(weight, [order.index(a) for a in range(len(order))])
        return weight


@dataclasses.dataclass(frozen=True)
class PickedLayout(Layout):
    """A layout that gives patterns some of the outputs, in a given order; masks keep all others.

    Args:
        order: the indices of these outputs.

    >>> from tfopt.pruning._layouts import PickedLayout
    >>> layout = PickedLayout((4,), inputs=(), outputs=(0,), order=(2, 0))
    >>> layout.from_matrix(keras.ops.convert_to_tensor([[[False, True]]])).numpy().tolist()
    [True, True, False, True]
    """

    order: tuple[int, ...] = ()

    @property
    def matrix_shape(self) -> tuple[int, int, int]:
        return (*self.full_shape[:2], len(self.order))

    def to_matrix(self, weight: Any) -> Any:
        return ops.take(super().to_matrix(weight), self.order, axis=2)

    def from_matrix(self, matrix: Any) -> Any:
        places = {output: place for place, output in enumerate(self.order)}
        source = [places.get(output, len(self.order)) for output in range(self.full_shape[2])]
        kept = ops.ones((*self.full_shape[:2], 1), "bool")
        return super().from_matrix(ops.take(ops.concatenate([matrix, kept], axis=2), source, axis=2))


def vector_layout(variable: keras.Variable) -> Layout:
    """The layout of a bias, gamma or beta: only outputs."""
    return Layout(tuple(variable.shape), (), tuple(range(len(variable.shape))))


def _plain(layer: keras.layers.Layer, shape: tuple[int, ...]) -> Layout:
    """(..., inputs, outputs): Dense, convolutions, and layers that are not in the table."""
    return Layout(shape, (len(shape) - 2,), (len(shape) - 1,))


def _transposed(layer: keras.layers.Layer, shape: tuple[int, ...]) -> Layout:
    return Layout(shape, (len(shape) - 1,), (len(shape) - 2,))


def _depthwise(layer: keras.layers.Layer, shape: tuple[int, ...]) -> Layout:
    """Each output reads one input: none is summed over."""
    return Layout(shape, (), (len(shape) - 2, len(shape) - 1))


def _einsum(layer: Any, shape: tuple[int, ...]) -> Layout:
    _, kernel, output = equation_labels(layer)
    outputs = tuple(a for a, label in enumerate(kernel) if label in output)
    return Layout(shape, tuple(a for a in range(len(shape)) if a not in outputs), outputs)


def equation_labels(layer: Any) -> tuple[str, str, str]:
    """Labels of inputs, kernel and outputs of an EinsumDense, without the ellipsis."""
    left, output = layer.equation.replace("...", "").split("->")
    inputs, kernel = left.split(",")
    return inputs, kernel, output


_LAYOUTS: tuple[tuple[tuple[type, ...], Callable[[Any, tuple[int, ...]], Layout]], ...] = (
    ((_L.Conv1DTranspose, _L.Conv2DTranspose, _L.Conv3DTranspose), _transposed),
    ((_L.DepthwiseConv1D, _L.DepthwiseConv2D), _depthwise),
    ((_L.EinsumDense,), _einsum),
)


def layout_of(layer: keras.layers.Layer, variable: keras.Variable) -> Layout:
    """The layout of a layer's kernel; layers that are not in the table have inputs and outputs last."""
    make = next((make for classes, make in _LAYOUTS if isinstance(layer, classes)), _plain)
    return make(layer, tuple(variable.shape))
