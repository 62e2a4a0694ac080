"""Convolutions as several smaller ones: a row for each way to take their kernels apart."""

import dataclasses
import functools
import math
from collections.abc import Callable
from typing import Any

import numpy as np
from keras import layers

from tfopt.factorization._decompositions import product, spectrum, tucker, unfolded
from tfopt.factorization._inputs import Inputs, unweighed, weighed
from tfopt.factorization._parts import Factors, Part, again, matrix_factors, named, positions_of
from tfopt.factorization._polyadic import composed, polyadic, polyadic_spectrum
from tfopt.graph import Node, kind


@dataclasses.dataclass(frozen=True, eq=False)
class Convolution:
    """A convolution, and what its factors have of it.

    Args:
        node: its node.
        read: its inputs, or None.
    """

    node: Node
    read: Inputs | None

    @property
    def layer(self) -> Any:
        return self.node.op

    @functools.cached_property
    def kernel(self) -> np.ndarray:
        """Its kernel, as its inputs see it."""
        return weighed(np.asarray(self.layer.kernel), self.read)

    @functools.cached_property
    def positions(self) -> tuple[int | None, int | None]:
        """How many pixels it reads and writes; None where a size is open."""
        last = self.layer.data_format == "channels_last"
        before, after = (
            positions_of(tensor.shape[1:-1] if last else tensor.shape[2:])
            for tensor in (self.node.inputs[0], self.node.output)
        )
        return before, after

    @functools.cached_property
    def moves(self) -> dict[str, Any]:
        """What says which positions it reads."""
        return {name: getattr(self.layer, name) for name in ("strides", "padding", "dilation_rate")}

    def first(self, filters: int, part: str, **changes: Any) -> layers.Layer:
        """A pointwise convolution in front."""
        return self.core(filters, part, kernel_size=1, **changes)

    def core(self, filters: int, part: str, **changes: Any) -> layers.Layer:
        """A convolution without a bias and an activation."""
        settings = {"kernel_size": self.layer.kernel_size, "data_format": self.layer.data_format, **changes}
        stock = getattr(layers, kind(self.layer))
        return stock(filters, use_bias=False, **settings, **named(self.layer, part))

    def last(self) -> layers.Layer:
        """A pointwise convolution at the end, with the bias, the activation and the name of the layer."""
        return again(self.layer, kernel_size=1, strides=1, padding="valid", dilation_rate=1)

    def pointwise(self, matrix: np.ndarray) -> np.ndarray:
        """A matrix as the kernel of a pointwise convolution."""
        return matrix.reshape(*[1] * len(self.layer.kernel_size), *matrix.shape)


def convolution_factors(node: Node, inputs: Inputs | None, method: str) -> Factors | str:
    """The factors of a convolution, or why it has none.

    Args:
        node: its node.
        inputs: what it reads, or None.
        method: a key of `METHODS`; a pointwise convolution is a matrix under any.
    """
    convolution = Convolution(node, inputs)
    if node.op.groups > 1:
        return "its groups of channels are apart"
    if math.prod(node.op.kernel_size) > 1:
        return METHODS[method](convolution)
    return matrix_factors(
        node,
        inputs,
        np.asarray(node.op.kernel).reshape(node.op.kernel.shape[-2:]),
        (convolution.positions[1], convolution.positions[1]),
        lambda ranks: [convolution.first(ranks[0], "factor", **convolution.moves), convolution.last()],
        lambda a, b: (convolution.pointwise(a), convolution.pointwise(b)),
    )


def _tucker(of: Convolution) -> Factors:
    """A small convolution between two pointwise ones, of which one of full rank is left out."""
    kernel, (before, after) = of.kernel, of.positions
    area, (inputs, outputs) = math.prod(of.layer.kernel_size), kernel.shape[-2:]

    def chosen(ranks: tuple[int, ...], first: Any, core: Any, last: Any) -> list[Any]:
        return [*[first] * (ranks[0] < inputs), core, *[last] * (ranks[1] < outputs)]

    def split(ranks: tuple[int, ...]) -> tuple[np.ndarray, ...]:
        first, core, last = tucker(kernel, *ranks)
        first = unweighed(first, of.read)
        if ranks[0] == inputs:
            core = np.einsum("sa,...ab->...sb", first, core)
        if ranks[1] == outputs:
            core = np.einsum("...ab,bt->...at", core, last)
        return tuple(chosen(ranks, of.pointwise(first), core, of.pointwise(last)))

    def make(ranks: tuple[int, ...]) -> list[layers.Layer]:
        core = of.core(ranks[1], "core", **of.moves) if ranks[1] < outputs else again(of.layer)
        return chosen(ranks, of.first(ranks[0], "inputs"), core, of.last())

    return Factors(
        node=of.node,
        kernel=kernel,
        energies=lambda: (spectrum(unfolded(kernel, -2)), spectrum(unfolded(kernel, -1))),
        whole=Part(kernel.size, outputs, after),
        parts=lambda ranks: chosen(
            ranks,
            Part(inputs * ranks[0], ranks[0], before),
            Part(area * ranks[0] * ranks[1], ranks[1], after),
            Part(ranks[1] * outputs, outputs, after),
        ),
        product=lambda ranks: product(tucker(kernel, *ranks)),
        split=split,
        make=make,
    )


def _polyadic(of: Convolution) -> Factors | str:
    """A depthwise convolution between two pointwise ones."""
    kernel, (before, after) = of.kernel, of.positions
    sizes, (inputs, outputs) = of.layer.kernel_size, kernel.shape[-2:]
    depthwise = getattr(layers, f"Depthwise{kind(of.layer)}", None)
    if depthwise is None:
        return f"there is no depthwise {kind(of.layer)}: method='tucker' factorizes it"
    if of.layer.padding == "causal" or len(set(of.layer.strides)) > 1:
        moved = "padding" if of.layer.padding == "causal" else "strides"
        return f"no depthwise convolution has its {moved}: method='tucker' factorizes it"
    found = functools.cache(lambda rank: polyadic(kernel, rank))

    def split(ranks: tuple[int, ...]) -> tuple[np.ndarray, ...]:
        terms = found(*ranks)
        middle = terms.positions.reshape(*sizes, ranks[0], 1)
        return of.pointwise(unweighed(terms.inputs, of.read)), middle, of.pointwise(terms.outputs.T)

    def make(ranks: tuple[int, ...]) -> list[layers.Layer]:
        shape = {"use_bias": False, "data_format": of.layer.data_format}
        middle = depthwise(sizes, **shape, **of.moves, **named(of.layer, "core"))
        return [of.first(ranks[0], "inputs"), middle, of.last()]

    return Factors(
        node=of.node,
        kernel=kernel,
        energies=lambda: (polyadic_spectrum(kernel),),
        whole=Part(kernel.size, outputs, after),
        parts=lambda ranks: [
            Part(inputs * ranks[0], ranks[0], before),
            Part(math.prod(sizes) * ranks[0], ranks[0], after),
            Part(ranks[0] * outputs, outputs, after),
        ],
        product=lambda ranks: composed(found(*ranks), sizes),
        split=split,
        make=make,
    )


# Name of a decomposition -> the factors of a convolution by it, or why it has none.
METHODS: dict[str, Callable[[Convolution], Factors | str]] = {"tucker": _tucker, "cp": _polyadic}
