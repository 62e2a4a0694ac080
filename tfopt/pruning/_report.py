"""What the Pruning callback did: a row for every weight it prunes and every layer it leaves dense."""

import dataclasses
import math

from tfopt._report import Report, Table

_BIASES = {
    "channels": "A channel's biases, gammas and betas are zero with it.",
    "heads": "A head's biases are zero with it; the bias of the attention output stays dense.",
}


@dataclasses.dataclass(frozen=True)
class LayerSparsity:
    """One row: a pruned weight with its fraction of zeros, or a layer that stays dense with the reason."""

    path: str
    shape: tuple[int, ...] | None = None
    zeros: int | None = None
    reason: str | None = None

    @property
    def size(self) -> int:
        """How many numbers the weight has; 0 for a layer that stays dense."""
        return 0 if self.shape is None else math.prod(self.shape)

    @property
    def sparsity(self) -> float | None:
        """Fraction of zeros; None for a layer that stays dense."""
        return None if self.zeros is None else self.zeros / self.size


@dataclasses.dataclass(frozen=True)
class PruningReport(Report):
    """Which weights of a model are pruned, how sparse they are now, and why other layers stay dense.

    Args:
        model: name of the model.
        layers: a row per pruned weight or dense layer, in the model's order.
        parameters: how many weights the whole model has.
        pattern: the pattern of the zeros.

    >>> from tfopt.pruning import LayerSparsity, PruningReport
    >>> rows = (LayerSparsity("net/a", (4, 8), zeros=24), LayerSparsity("net/b", reason="frozen"))
    >>> report = PruningReport("net", rows, parameters=100)
    >>> print(report)
    Sparsity of 'net'
    layer  weight  sparsity
    net/a  4 × 8     75.0 %
    75.0 % of the 32 pruned weights are zero, 24.0 % of all 100.
    Dense: net/b (frozen).
    Biases stay dense.
    >>> report.sparsity
    0.75
    """

    model: str
    layers: tuple[LayerSparsity, ...]
    parameters: int
    pattern: str = "unstructured"

    @property
    def zeros(self) -> int:
        """How many pruned weights are zero."""
        return sum(layer.zeros or 0 for layer in self.layers)

    @property
    def size(self) -> int:
        """How many weights are subject to pruning."""
        return sum(layer.size for layer in self.layers)

    @property
    def sparsity(self) -> float:
        """Fraction of zeros over all weights that are subject to pruning."""
        return self.zeros / self.size

    def table(self) -> Table:
        """A row per pruned weight; below it the totals, and the layers that stay dense by reason."""
        total = f"{self.sparsity:.1%} of the {self.size:,} pruned weights are zero, "
        total += f"{self.zeros / self.parameters:.1%} of all {self.parameters:,}."
        dense: dict[str, list[str]] = {}
        for layer in self.layers:
            if layer.sparsity is None:
                dense.setdefault(layer.reason or "", []).append(layer.path)
        return Table(
            title=f"Sparsity of '{self.model}'",
            columns=("layer", "weight", "sparsity"),
            rows=tuple(_row(layer) for layer in self.layers if layer.sparsity is not None),
            notes=(
                total.replace("%", " %"),
                *(f"Dense: {_listed(paths)} ({reason})." for reason, paths in dense.items()),
                _BIASES.get(self.pattern, "Biases stay dense."),
            ),
        )


def _listed(paths: list[str]) -> str:
    """The first paths, and how many others there are; `PruningReport.layers` has all.

    >>> _listed(["a", "b"]), _listed(list("abcdefgh"))
    ('a, b', 'a, b, c, d and 4 others')
    """
    return ", ".join(paths) if len(paths) <= 6 else f"{', '.join(paths[:4])} and {len(paths) - 4} others"


def _row(layer: LayerSparsity) -> tuple[str, str, str]:
    shape = " × ".join(map(str, layer.shape or ()))
    return layer.path, shape, f"{100 * (layer.sparsity or 0):.1f} %"
