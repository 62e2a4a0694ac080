"""The options of a layer: bits of its weights and the part of them that is zero; what each costs in bytes."""

import dataclasses
import functools
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from tfopt._host_ops import on_host
from tfopt.analysis import Changed, Spot, Technique
from tfopt.coding import Codes, smallest_form
from tfopt.compression import OVERHEAD
from tfopt.graph import kind
from tfopt.kernels import TARGETS, IntegerWeights, is_packed
from tfopt.pruning import layout_of, magnitude, unstructured_mask, zero_count


@dataclasses.dataclass(frozen=True, order=True)
class Option:
    """What a layer may become.

    Attributes:
        bits: of its weights.
        sparsity: the part of them that is zero.
    """

    bits: int
    sparsity: float = 0.0

    @property
    def name(self) -> str:
        """In words."""
        return f"{self.bits} bits" + (f", {self.sparsity:.0%} zeros" if self.sparsity else "")


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


class Prices:
    """Techniques for `sensitivity`, one for each option, which note what each kernel costs as they are applied.

    Args:
        form: how kernels are stored, a key of `FORMS`.
        target: the runtime.
    """

    def __init__(self, form: str, target: str) -> None:
        self.price, self.target = FORMS[form], target
        self.bytes: dict[tuple[str, str], int] = {}

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
            weight.assign(zeroed(exact, option.sparsity))
            layer.grid = dataclasses.replace(grid, bits=option.bits, ternary=False)
            with on_host():
                codes = np.asarray(layer.weight_codes()).astype("int8")
                _, rounded = layer.weights_and_rounded()  # type: ignore[attr-defined]
        finally:
            weight.assign(exact)
            layer.grid = grid
        self.bytes[spot.path, option.name] = self.price(spot, codes, option, self.target)
        return Changed(spot, ((spot.kernels[0], np.asarray(rounded)),))


def _stored(spot: Spot, codes: np.ndarray, option: Option, target: str) -> int:
    """A byte for each code, or for two of them where the target's kernels read that."""
    packs = TARGETS[target].settings.get("pack_weights", True)
    packed = packs and is_packed(option.bits) and kind(spot.node.op) in _PACKED  # type: ignore[union-attr]
    return -(-codes.size // 2) if packed else codes.size


def _compressed(spot: Spot, codes: np.ndarray, option: Option, target: str) -> int:
    """The smallest form that TFLite Micro decodes, with its decoder, or the plain kernel."""
    layout = layout_of(spot.node.op, spot.kernels[0])  # type: ignore[union-attr]
    matrix = np.asarray(layout.to_matrix(codes))
    inputs_last = matrix.shape[1] > 1
    matrix = np.moveaxis(matrix, 2, 0) if inputs_last else matrix  # outputs first; last in a depthwise kernel
    by_channel = spot.quantized.grid.granularity == "channel"
    encoded = smallest_form(
        Codes(np.ascontiguousarray(matrix), (0 if inputs_last else 2) if by_channel else None)
    )
    return codes.size if encoded is None else min(codes.size, encoded.nbytes + OVERHEAD)


_PACKED = ("Dense", "EinsumDense", "Conv1D", "Conv2D", "DepthwiseConv1D", "DepthwiseConv2D")

# What a budget is of -> what a kernel takes of it.
FORMS: dict[str, Callable[[Spot, Any, Option, str], int]] = {
    "bytes": _stored,
    "compressed_bytes": _compressed,
    "nonzeros": lambda spot, codes, option, target: int(np.count_nonzero(codes)),
}
