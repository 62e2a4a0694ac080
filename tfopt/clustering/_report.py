"""What the Clustering callback did: a row for every weight it clusters and every layer it leaves as it is."""

import dataclasses
import math

from tfopt._report import Report, Table


@dataclasses.dataclass(frozen=True)
class LayerClusters:
    """One row: a clustered weight, or a layer that stays as it is with the reason.

    Attributes:
        path: the layer's.
        shape: the weight's.
        values: how many distinct numbers a row of it holds: a kernel, or the fullest channel.
        rows: how many rows there are, each with values of its own.
        codes: whether the numbers are codes of an int8 file; else the weights themselves.
        reason: why the layer stays as it is.
    """

    path: str
    shape: tuple[int, ...] | None = None
    values: int | None = None
    rows: int = 1
    codes: bool = False
    reason: str | None = None

    @property
    def size(self) -> int:
        """How many numbers the weight has; 0 for a layer that stays as it is."""
        return 0 if self.shape is None else math.prod(self.shape)

    @property
    def bits(self) -> float | None:
        """Bits per weight with an index for each and a table for each row, of 8 bits for a code and 32 for a value."""
        if self.values is None:
            return None
        table = self.rows * self.values * (8 if self.codes else 32)
        return math.ceil(math.log2(max(self.values, 2))) + table / self.size


@dataclasses.dataclass(frozen=True)
class ClusteringReport(Report):
    """Which weights of a model share how many values, and why other layers stay as they are.

    Args:
        model: name of the model.
        layers: a row per clustered weight or other layer, in the model's order.

    >>> from tfopt.clustering import ClusteringReport, LayerClusters
    >>> rows = (LayerClusters("net/a", (32, 64), values=16, codes=True), LayerClusters("net/b", reason="frozen"))
    >>> print(ClusteringReport("net", rows))
    Clusters of 'net'
    layer  weight   values    bits  note
    net/a  32 × 64      16    4.06  codes
    net/b                           as it was: frozen
    2,048 weights of 4.06 bits each, an index and its share of the table.
    Biases and normalization stay as they are.
    """

    model: str
    layers: tuple[LayerClusters, ...]

    @property
    def size(self) -> int:
        """How many weights are clustered."""
        return sum(layer.size for layer in self.layers)

    @property
    def bits(self) -> float:
        """Bits per clustered weight, tables included."""
        return sum(layer.size * (layer.bits or 0.0) for layer in self.layers) / self.size

    def table(self) -> Table:
        """A row per weight or layer, and the totals below."""
        return Table(
            title=f"Clusters of '{self.model}'",
            columns=("layer", "weight", "values", "bits", "note"),
            rows=tuple(_row(layer) for layer in self.layers),
            notes=(
                f"{self.size:,} weights of {self.bits:.2f} bits each, an index and its share of the table.",
                "Biases and normalization stay as they are.",
            ),
        )


def _row(layer: LayerClusters) -> tuple[str, str, str, str, str]:
    if layer.bits is None:
        return layer.path, "", "", "", f"as it was: {layer.reason}"
    shape = " × ".join(map(str, layer.shape or ()))
    each = f", each of {layer.rows} channels" if layer.rows > 1 else ""
    return (
        layer.path,
        shape,
        str(layer.values),
        f"{layer.bits:.2f}",
        ("codes" if layer.codes else "values") + each,
    )
