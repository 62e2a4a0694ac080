"""The table of techniques: from a layer to the same layer with the technique applied, and nothing else changed."""

import dataclasses
import functools
from collections.abc import Callable
from typing import Any

import keras
import numpy as np

from tfopt._host_ops import on_host
from tfopt.analysis._network import Change, Spot
from tfopt.factorization import factors_of
from tfopt.graph import einsum_axes, kind
from tfopt.kernels import activation_grid, restrict_range, round_to
from tfopt.pruning import layout_of, magnitude, parse_pattern, unit_mask, unstructured_mask


@dataclasses.dataclass(frozen=True, eq=False)
class Changed:
    """A layer with a technique applied: other kernels, or an output on a grid.

    Attributes:
        spot: the layer.
        kernels: each kernel and what it becomes.
        rounds: from the output to the output on its grid; None where it stays as it is.
    """

    spot: Spot
    kernels: tuple[tuple[keras.Variable, np.ndarray], ...] = ()
    rounds: Callable[[Any], Any] | None = None

    def operations(self, original: dict[int, Any]) -> Change:
        """What stands in for which operation.

        Args:
            original: the float operation, by `id` of the quantized model's.
        """
        if self.rounds is not None:
            return {id(self.spot.quantizer): lambda x, *args, **kwargs: self.rounds(x)}  # type: ignore[misc]
        layer = self.spot.node.op  # type: ignore[union-attr]
        mapping = [(one, keras.ops.convert_to_tensor(new, one.dtype)) for one, new in self.kernels]

        def call(*args: Any, **kwargs: Any) -> Any:
            with keras.StatelessScope(state_mapping=mapping):
                return layer(*args, **kwargs)

        return {key: call for key, op in original.items() if op is layer}


@dataclasses.dataclass(frozen=True)
class Technique:
    """A row of the table.

    Attributes:
        name: what it is called in rows.
        short: the head of its column.
        apply: from a layer to the changed one; a string is why the layer cannot have it.

    Example:

    >>> from tfopt.analysis import TECHNIQUES
    >>> list(TECHNIQUES)[:3]
    ['8-bit weights', '4-bit weights', '2-bit weights']
    """

    name: str
    short: str
    apply: Callable[[Spot], Changed | str]


def rounded_weights(bits: int | None, spot: Spot) -> Changed | str:
    """The weights on their grid, with other bits if these are given; a string is why there are none."""
    if spot.quantized is None:
        return "its weights stay float" if spot.kernels else "no kernel"
    layer, grid = spot.quantized, spot.quantized.grid
    try:
        layer.grid = grid if bits is None else dataclasses.replace(grid, bits=bits, ternary=False)
        with on_host():
            _, rounded = layer.weights_and_rounded()
    finally:
        layer.grid = grid
    # A fused recurrent layer gives its kernels flat, one behind the other; others have one, or their first is rounded.
    flat, changed = np.ravel(np.asarray(rounded)), []
    for kernel in spot.kernels:
        own, flat = np.split(flat, [int(np.prod(kernel.shape))])
        if own.size:
            changed.append((kernel, own.reshape(kernel.shape)))
    return Changed(spot, tuple(changed)) if changed else "no kernel"


def _activations(bits: int, spot: Spot) -> Changed | str:
    quantizer = spot.quantizer
    if quantizer is None:
        return "its output has no grid of its own"
    if quantizer.fixed_range is not None:
        return "its range is fixed"
    low, high = (float(end) for end in quantizer.nudged_range())
    if bits == 16:
        low, high = (float(end) for end in restrict_range(low, high, 16, symmetric=True))
    with on_host():
        grid = activation_grid(low, high, bits)
    return Changed(spot, rounds=lambda x: round_to(grid, x, bits))


def _zeros(sparsity: float | None, text: str, spot: Spot) -> Changed | str:
    """The smallest weights become zero, in the units of a pattern; without a sparsity, as many as it allows."""
    pattern = parse_pattern(text)
    if text == "channels" and spot.makes_output:
        return "its channels are the model's outputs"
    changed = []
    for kernel in spot.kernels:
        layout = layout_of(spot.node.op, kernel)  # type: ignore[union-attr]
        shape = layout.matrix_shape
        if pattern.limit(shape) < 1:
            continue
        zeros = pattern.limit(shape) if sparsity is None else pattern.zeros(sparsity, shape)
        weight = np.asarray(kernel.value, "float32")
        scores, sizes = pattern.pool(layout.to_matrix(magnitude(weight))), pattern.sizes(shape)
        units = unstructured_mask(scores, zeros) if sizes is None else unit_mask(scores, sizes, zeros)
        mask = np.asarray(layout.from_matrix(pattern.spread(units, shape)))
        changed.append((kernel, weight * mask))
    return Changed(spot, tuple(changed)) if changed else ("too small" if spot.kernels else "no kernel")


def _rank(part: float, spot: Spot) -> Changed | str:
    """The kernel as the product of factors, each of a part of its ranks."""
    if not spot.kernels:
        return "no kernel"
    factors = factors_of(spot.node)  # type: ignore[arg-type]
    if isinstance(factors, str):
        return factors
    ranks = tuple(max(1, int(part * len(spectrum))) for spectrum in factors.spectra)
    matrix, kernel = factors.product(ranks), spot.kernels[0]
    layer = spot.node.op  # type: ignore[union-attr]
    axes = einsum_axes(layer) if kind(layer) == "EinsumDense" else None
    if axes is None:
        return Changed(spot, ((kernel, matrix.reshape(kernel.shape)),))
    order = (*axes.summed, *axes.kept)
    moved = matrix.reshape([kernel.shape[axis] for axis in order])
    return Changed(spot, ((kernel, moved.transpose(np.argsort(order))),))


def _table(*rows: Technique) -> dict[str, Technique]:
    return {row.name: row for row in rows}


# A new technique is a row: its name, the head of its column, and a function from a layer to the changed layer.
TECHNIQUES: dict[str, Technique] = _table(
    Technique("8-bit weights", "w8", functools.partial(rounded_weights, 8)),
    Technique("4-bit weights", "w4", functools.partial(rounded_weights, 4)),
    Technique("2-bit weights", "w2", functools.partial(rounded_weights, 2)),
    Technique("8-bit activations", "a8", functools.partial(_activations, 8)),
    Technique("16-bit activations", "a16", functools.partial(_activations, 16)),
    Technique("50 % zeros", "z50", functools.partial(_zeros, 0.5, "unstructured")),
    Technique("80 % zeros", "z80", functools.partial(_zeros, 0.8, "unstructured")),
    Technique("90 % zeros", "z90", functools.partial(_zeros, 0.9, "unstructured")),
    Technique("2:4 zeros", "2:4", functools.partial(_zeros, None, "2:4")),
    Technique("half the channels", "ch", functools.partial(_zeros, 0.5, "channels")),
    Technique("half the rank", "rk", functools.partial(_rank, 0.5)),
)
