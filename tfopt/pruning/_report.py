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
    layer  weight  sparsity           note
    net/a  4 × 8     75.0 %
    net/b                    dense: frozen
    75.0 % of the 32 pruned weights are zero, 24.0 % of all 100.
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
        """A row per weight or layer, and the totals below."""
        total = f"{self.sparsity:.1%} of the {self.size:,} pruned weights are zero, "
        total += f"{self.zeros / self.parameters:.1%} of all {self.parameters:,}."
        return Table(
            title=f"Sparsity of '{self.model}'",
            columns=("layer", "weight", "sparsity", "note"),
            rows=tuple(_row(layer) for layer in self.layers),
            notes=(total.replace("%", " %"), _BIASES.get(self.pattern, "Biases stay dense.")),
        )


def _row(layer: LayerSparsity) -> tuple[str, str, str, str]:
    if layer.sparsity is None:
        return layer.path, "", "", f"dense: {layer.reason}"
    shape = " × ".join(map(str, layer.shape or ()))
    return layer.path, shape, f"{100 * layer.sparsity:.1f} %", ""
