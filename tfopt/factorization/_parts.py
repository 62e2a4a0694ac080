"""What a layer is taken apart into, what that costs, and the layers that hold it."""

import dataclasses
import functools
import math
from collections.abc import Callable
from typing import Any

import keras
import numpy as np
from keras import layers

from tfopt.factorization._decompositions import low_rank, product, spectrum
from tfopt.factorization._inputs import Inputs, unweighed, weighed
from tfopt.graph import Node

# Bytes in an int8 file besides the kernel: a bias, and a step and a zero point of kernel and bias for each channel;
# and the record of an operation.
_CHANNEL_BYTES, _OPERATION_BYTES = 28, 400


@dataclasses.dataclass(frozen=True)
class Part:
    """What one kernel costs.

    Args:
        values: how many it has.
        outputs: its channels.
        positions: how often it is multiplied with in a sample; None where a size is open.
    """

    values: int
    outputs: int
    positions: int | None

    def cost(self, of: str) -> int:
        """Its `"params"`, `"macs"` or `"bytes"`.

        Raises:
            ValueError: its multiply-accumulates depend on an open size.
        """
        if of == "macs":
            if self.positions is None:
                raise ValueError("open")
            return self.values * self.positions
        return self.values + (of == "bytes") * (self.outputs * _CHANNEL_BYTES + _OPERATION_BYTES)


@dataclasses.dataclass(frozen=True, eq=False)
class Factors:
    """A layer that can be factorized.

    Args:
        node: the layer where it is called first.
        kernel: its kernel, as the decomposition takes it: times the root of its inputs' moment, where that is known.
        energies: finds those of its ranks: one array for a matrix and for the terms of a convolution, two for a
            convolution's inputs and outputs. Asked for where ranks are chosen, for it may take long.
        whole: what its kernel costs.
        parts: what the factors of some ranks cost.
        product: what these stand for in place of `kernel`.
        split: their kernels.
        make: the layers that hold these, in the order in which they run.
        others: the same layer where it is called again, on tensors of other sizes perhaps.
    """

    node: Node
    kernel: np.ndarray
    energies: Callable[[], tuple[np.ndarray, ...]]
    whole: Part
    parts: Callable[[tuple[int, ...]], list[Part]]
    product: Callable[[tuple[int, ...]], np.ndarray]
    split: Callable[[tuple[int, ...]], tuple[np.ndarray, ...]]
    make: Callable[[tuple[int, ...]], list[layers.Layer]]
    others: "tuple[Factors, ...]" = ()

    @functools.cached_property
    def spectra(self) -> tuple[np.ndarray, ...]:
        """The energies of its ranks."""
        return self.energies()

    @property
    def op(self) -> keras.layers.Layer:
        """The layer."""
        return self.node.op  # type: ignore[return-value]

    @property
    def path(self) -> str:
        """The layer's path in the model."""
        return self.node.path

    def alone(self, ranks: tuple[int, ...] | None) -> keras.Model:
        """A model of the layer alone at some ranks, on inputs of the shape that it has; None for the layer as it is."""
        x = inputs = keras.Input(self.node.inputs[0].shape[1:], dtype=self.node.inputs[0].dtype)
        for layer in [again(self.op)] if ranks is None else self.make(ranks):
            x = layer(x)
        return keras.Model(inputs, x)

    def cost(self, ranks: tuple[int, ...] | None, of: str) -> int:
        """What its kernels cost at some ranks; None for the layer as it is."""
        own = sum(part.cost(of) for part in ([self.whole] if ranks is None else self.parts(ranks)))
        return own + sum(call.cost(ranks, of) for call in self.others if of == "macs")


def matrix_factors(
    node: Node,
    inputs: Inputs | None,
    matrix: np.ndarray,
    positions: tuple[int | None, int | None],
    make: Callable[[tuple[int, ...]], list[layers.Layer]],
    back: Callable[[np.ndarray, np.ndarray], tuple[np.ndarray, ...]] = lambda left, right: (left, right),
) -> Factors:
    """The factors of a layer whose kernel is a matrix; `positions` are those of the first and of the second."""
    (m, n), (before, after) = matrix.shape, positions
    matrix = weighed(matrix, inputs)

    def split(ranks: tuple[int, ...]) -> tuple[np.ndarray, ...]:
        left, right = low_rank(matrix, ranks[0])
        return back(unweighed(left, inputs), right)

    return Factors(
        node=node,
        kernel=matrix,
        energies=lambda: (spectrum(matrix),),
        whole=Part(m * n, n, after),
        parts=lambda ranks: [Part(m * ranks[0], ranks[0], before), Part(ranks[0] * n, n, after)],
        product=lambda ranks: product(low_rank(matrix, ranks[0])),
        split=split,
        make=make,
    )


def positions_of(shape: tuple[int | None, ...]) -> int | None:
    return None if None in shape else math.prod(shape)  # type: ignore[arg-type]


def again(layer: layers.Layer, **changes: Any) -> layers.Layer:
    """The layer again, with its bias, activation and name, and some arguments changed."""
    return type(layer).from_config({**layer.get_config(), **changes})


def named(layer: layers.Layer, part: str) -> dict[str, Any]:
    return {"name": f"{layer.name}_{part}", "dtype": layer.dtype_policy}
