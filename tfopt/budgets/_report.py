"""What a search found: a front of points, each of which is a recipe."""

import dataclasses

from tfopt._report import Report, Table
from tfopt.recipes import Export, Prune, Quantize, Recipe, Train


@dataclasses.dataclass(frozen=True)
class LayerChoice:
    """What a layer becomes.

    Attributes:
        path: its path.
        bits: bits of its weights.
        sparsity: the part of them that is zero.
    """

    path: str
    bits: int
    sparsity: float


@dataclasses.dataclass(frozen=True)
class Point:
    """A point of the front.

    Attributes:
        cost: what it takes, as foreseen: bytes of a file, or weights that are not zero.
        loss: by how much the mean loss grows, as the sum of what each layer alone costs.
        layers: what each layer becomes.
        target: the runtime.
        form: what the cost is of: `"bytes"`, `"compressed_bytes"` or `"nonzeros"`.
    """

    cost: int
    loss: float
    layers: tuple[LayerChoice, ...]
    target: str
    form: str

    @property
    def recipe(self) -> Recipe:
        """The same for `tfopt.compress`, which trains where there are zeros to be made."""
        zeros = {one.path: one.sparsity for one in self.layers if one.sparsity}
        return Recipe(
            target=self.target,
            quantize=Quantize(layers={one.path: one.bits for one in self.layers if one.bits != 8}),
            prune=Prune(layers=zeros) if zeros else None,
            train=Train(epochs=None if zeros else 0),
            export=Export(compress=self.form == "compressed_bytes"),
        )


@dataclasses.dataclass(frozen=True)
class SearchReport(Report):
    """A front of points: none is both smaller and less damaging than another.

    Attributes:
        name: the model's name.
        form: what costs are of.
        budget: what was asked for; None for as few as `max_drop` allows.
        max_drop: what the metric may lose; None where the budget is a number.
        points: the front, the cheapest first.
        best: the least damaging point within the budget, or the cheapest within `max_drop`; None where there is none.
        measured: what a file of it takes; None where there is none.
        drop: what the metric loses in it, quantized; None where the budget is a number.
        seconds: how long the search took.
        notes: what was chosen, and what could not be had.

    Example: see `search`.
    """

    name: str
    form: str
    budget: int | None
    max_drop: float | None
    points: tuple[Point, ...]
    best: Point | None
    measured: int | None
    drop: float | None
    seconds: float
    notes: tuple[str, ...] = ()

    def table(self) -> Table:
        rows = tuple(
            (
                f"{point.cost:,}",
                f"{point.loss:.4f}",
                _mean_bits(point),
                _zeros(point),
                "*" if point == self.best else "",
            )
            for point in self.points
        )
        return Table(
            f"Search of {self.name}",
            (self.form.replace("_", " "), "loss", "bits", "zeros", ""),
            rows,
            (*self._about_best(), f"{self.seconds:.1f} seconds.", *self.notes),
        )

    def _about_best(self) -> tuple[str, ...]:
        """Which point was taken, and what it is."""
        asked = f"{self.max_drop:g} lost" if self.budget is None else f"{self.budget:,} {self.form}"
        if self.best is None:
            return (f"No point is within {asked}.",)
        layers = (f"{one.path} {one.bits}" + _part(one.sparsity) for one in self.best.layers)
        lost = "" if self.drop is None else f", and it loses {self.drop:.3g}"
        return (
            f"* is within {asked}: it takes {self.measured:,}{lost}.",
            f"Bits, and zeros: {', '.join(layers)}.",
        )


def _mean_bits(point: Point) -> str:
    bits = sorted({one.bits for one in point.layers})
    return "-".join(map(str, (bits[0], bits[-1]) if len(bits) > 1 else bits))


def _zeros(point: Point) -> str:
    parts = sorted({one.sparsity for one in point.layers})
    return f"{parts[0]:.0%}" if len(parts) == 1 else f"{parts[0]:.0%} to {parts[-1]:.0%}"


def _part(sparsity: float) -> str:
    return f"/{sparsity:.0%}" if sparsity else ""
