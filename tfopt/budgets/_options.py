"""The options of a layer: bits of its weights, the part of them that is zero, and how many values they share."""

import dataclasses
import functools
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from tfopt._host_ops import on_host
from tfopt.analysis import Changed, Spot, Technique
from tfopt.clustering import Space, cluster_weight
from tfopt.graph import CHANNEL_AXES, einsum_axes, kind
from tfopt.kernels import IntegerWeights
from tfopt.pruning import magnitude, unstructured_mask, zero_count

# Centroids that do not move: zero and the ends of the grid.
_FIXED = 3


@dataclasses.dataclass(frozen=True, order=True)
class Option:
    """What a layer may become.

    Attributes:
        bits: of its weights.
        sparsity: the part of them that is zero.
        n_clusters: how many values they share; 0 for as many as the bits allow.
    """

    bits: int
    sparsity: float = 0.0
    n_clusters: int = 0

    @property
    def name(self) -> str:
        """In words."""
        zeros = f", {self.sparsity:.0%} zeros" if self.sparsity else ""
        return f"{self.bits} bits{zeros}" + (f", {self.n_clusters} values" if self.n_clusters else "")

    def weight(self, layer: Any, kernel: np.ndarray) -> np.ndarray:
        """A kernel of a layer with the zeros and shared values, before it is rounded."""
        kernel = zeroed(kernel, self.sparsity)
        return clustered(layer, kernel, self.n_clusters) if self.n_clusters else kernel


def zeroed(weight: np.ndarray, sparsity: float) -> np.ndarray:
    """A kernel whose smallest weights are zero.

    >>> from tfopt.budgets._options import zeroed
    >>> zeroed(np.array([[3.0, -1.0], [0.5, 2.0]], "float32"), 0.5).tolist()
    [[3.0, 0.0], [0.0, 2.0]]
    """
    if not sparsity:
        return weight
    mask = np.asarray(unstructured_mask(magnitude(weight), zero_count(sparsity, weight.size)))
    return np.where(mask, weight, weight.dtype.type(0))


def channel_axes(layer: Any) -> tuple[int, ...]:
    """The axes of a layer's kernel that index output channels."""
    axes = einsum_axes(layer) if kind(layer) == "EinsumDense" else None
    return tuple(axes.kept) if axes else tuple(CHANNEL_AXES.get(kind(layer), (-1,)))


def clustered(layer: Any, weight: np.ndarray, count: int) -> np.ndarray:
    """A kernel whose weights share so many values, in units of the largest of their channel: few codes in a file."""
    space = Space(weight.shape, tuple(sorted(axis % weight.ndim for axis in channel_axes(layer))), codes=True)
    factor = np.ones((space.channel_count, 1), "float32")
    old = np.full((space.rows[0], count + _FIXED), np.inf, "float32")
    with on_host():
        return cluster_weight(weight, space, factor, old, count, "kmeans++", 0)[2]


# What a kernel takes of a budget: by the layer, the codes, the option and the target.
Price = Callable[[Spot, Any, Option, str], int]


class Prices:
    """Techniques for `sensitivity`, one for each option, which note what each kernel costs as they are applied.

    Args:
        prices: by budget.
        target: the runtime.
    """

    def __init__(self, prices: Mapping[str, Price], target: str) -> None:
        self.prices, self.target = prices, target
        self.paid: dict[tuple[str, str], dict[str, int]] = {}
        self.sizes: dict[str, int] = {}

    def techniques(self, options: Sequence[Option]) -> list[Technique]:
        """A technique for each option."""
        return [Technique(one.name, one.name, functools.partial(self._apply, one)) for one in options]

    def _apply(self, option: Option, spot: Spot) -> Changed | str:
        layer = spot.quantized
        if not isinstance(layer, IntegerWeights) or len(spot.kernels) != 1:
            return "its weights stay as they are"
        weight, grid = getattr(layer, layer.weight_names[0]), layer.grid  # type: ignore[attr-defined]
        exact = np.asarray(weight.value)
        try:
            weight.assign(option.weight(spot.node.op, exact))  # type: ignore[union-attr]
            layer.grid = dataclasses.replace(grid, bits=option.bits, ternary=False)
            with on_host():
                codes = np.asarray(layer.weight_codes()).astype("int8")
                _, rounded = layer.weights_and_rounded()  # type: ignore[attr-defined]
        finally:
            weight.assign(exact)
            layer.grid = grid
        self.sizes[spot.path] = codes.size
        self.paid[spot.path, option.name] = {
            name: price(spot, codes, option, self.target) for name, price in self.prices.items()
        }
        return Changed(spot, ((spot.kernels[0], np.asarray(rounded)),))
