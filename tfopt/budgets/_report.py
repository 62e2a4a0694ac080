"""What a search found: a front of points, each of which is a recipe."""

import dataclasses
from collections.abc import Mapping

from tfopt._report import Report, Table
from tfopt.budgets._shapes import DIVISOR, Shape
from tfopt.recipes import Cluster, Export, Factorize, Prune, Quantize, Recipe, Shrink, Train


@dataclasses.dataclass(frozen=True)
class LayerChoice:
    """What the weights of a layer become.

    Attributes:
        path: its path.
        bits: bits of its weights.
        sparsity: the part of them that is zero.
        n_clusters: how many values they share; 0 for as many as the bits allow.
    """

    path: str
    bits: int
    sparsity: float = 0.0
    n_clusters: int = 0


@dataclasses.dataclass(frozen=True)
class Point:
    """A point of the front.

    Attributes:
        costs: what it takes of each budget: as measured where a file of it was written, else as foreseen.
        loss: by how much the mean loss grows without training: that of the shape, and what the weights of each layer
            alone cost.
        layers: what the weights of each layer become.
        target: the runtime.
        channels: parts of the channels that are left, by the layers that make them; all of others.
        ranks: parts of the ranks of the layers that become several.
    """

    costs: Mapping[str, float]
    loss: float
    layers: tuple[LayerChoice, ...]
    target: str
    channels: Mapping[str, float] = dataclasses.field(default_factory=dict)
    ranks: Mapping[str, float] = dataclasses.field(default_factory=dict)

    @property
    def compress(self) -> bool:
        """Whether its file holds kernels that the runtime decodes."""
        return "compressed_bytes" in self.costs

    @property
    def shape(self) -> Shape:
        """Its channels and ranks."""
        return Shape(self.channels, self.ranks)

    @property
    def recipe(self) -> Recipe:
        """The same for `tfopt.compress`, which trains where zeros, clusters or narrower layers are to make up for."""
        zeros = {one.path: one.sparsity for one in self.layers if one.sparsity}
        values = {one.path: one.n_clusters for one in self.layers if one.n_clusters}
        trains = zeros or values or self.channels or self.ranks
        return Recipe(
            target=self.target,
            shrink=Shrink(layers=dict(self.channels), divisor=DIVISOR) if self.channels else None,
            factorize=Factorize(layers=dict(self.ranks)) if self.ranks else None,
            quantize=Quantize(layers={one.path: one.bits for one in self.layers if one.bits != 8}),
            prune=Prune(layers=zeros) if zeros else None,
            cluster=Cluster(layers=values) if values else None,
            train=Train(epochs=None if trains else 0),
            export=Export(compress=self.compress),
        )


@dataclasses.dataclass(frozen=True)
class SearchReport(Report):
    """A front of points: none is both cheaper and less damaging than another.

    Attributes:
        name: the model's name.
        budget: what was asked for, by budget; None for as little as `max_drop` allows.
        max_drop: what the metric may lose; None where the budget is a number.
        points: the front, the cheapest first.
        best: the least damaging point within the budget, or the cheapest within `max_drop`; None where there is none.
        measured: what a file of it takes of each budget; None where there is none.
        drop: what the metric loses in it, quantized; None where the budget is a number.
        seconds: how long the search took.
        notes: what was chosen, and what could not be had.

    Example: see `search`.
    """

    name: str
    budget: Mapping[str, float | None]
    max_drop: float | None
    points: tuple[Point, ...]
    best: Point | None
    measured: Mapping[str, float] | None
    drop: float | None
    seconds: float
    notes: tuple[str, ...] = ()

    def table(self) -> Table:
        return _front_table(
            f"Search of {self.name}",
            self.budget,
            self.points,
            self.best,
            (*self._about_best(), f"{self.seconds:.1f} seconds.", *self.notes),
        )

    def _about_best(self) -> tuple[str, ...]:
        """Which point was taken, and what it is."""
        limits = (f"{_figure(most)} {name}" for name, most in self.budget.items() if most is not None)
        asked = ", ".join(limits) if self.max_drop is None else f"{self.max_drop:g} lost"
        if self.best is None or self.measured is None:
            return (f"No point is within {asked}.",)
        layers = ", ".join(f"{one.path} {one.bits}" + _extras(one) for one in self.best.layers)
        takes = ", ".join(map(_figure, self.measured.values()))
        lost = "" if self.drop is None else f", and it loses {self.drop:.3g}"
        narrower = ", ".join(
            f"{path} {part:.0%}" for path, part in (*self.best.channels.items(), *self.best.ranks.items())
        )
        return (
            f"* is within {asked}: it takes {takes}{lost}.",
            f"Bits, zeros and values: {layers}.",
            *((f"Channels and ranks that are left: {narrower}.",) if narrower else ()),
        )


@dataclasses.dataclass(frozen=True)
class RefineReport(Report):
    """A front of points that were made, trained and measured.

    Attributes:
        name: the model's name.
        budget: what was asked for, by budget; None for what was minimized.
        points: the front, the cheapest first; `loss` is the mean loss of each after its training.
        best: the point of the least loss; None where no trial was within the limits.
        trials: how many were finished.
        stopped: how many of these were over a limit, or stopped early.

    Example: see `refine`.
    """

    name: str
    budget: Mapping[str, float | None]
    points: tuple[Point, ...]
    best: Point | None
    trials: int
    stopped: int

    def table(self) -> Table:
        note = f"{self.trials} trials, {self.stopped} of them over a limit or stopped early."
        return _front_table(f"Refined search of {self.name}", self.budget, self.points, self.best, (note,))


def _front_table(
    title: str,
    budget: Mapping[str, float | None],
    points: tuple[Point, ...],
    best: Point | None,
    notes: tuple[str, ...],
) -> Table:
    rows = tuple(
        (
            *(_figure(point.costs[name]) for name in budget),
            f"{point.loss:.4f}",
            _span({one.bits for one in point.layers}, "{}"),
            _span({one.sparsity for one in point.layers}, "{:.0%}"),
            _span({1.0, *point.channels.values()}, "{:.0%}"),
            "*" if point == best else "",
        )
        for point in points
    )
    heads = (*(name.replace("_", " ") for name in budget), "loss", "bits", "zeros", "channels", "")
    return Table(title, heads, rows, notes)


def _figure(value: float) -> str:
    return f"{value:,}" if float(value).is_integer() else f"{value:.4g}"


def _span(values: set, form: str) -> str:
    """The lowest and the highest value; one where they are equal, a line where there is none."""
    ends = sorted(values)
    if not ends:
        return "-"
    if len(ends) == 1:
        return form.format(ends[0])
    return f"{form.format(ends[0])}-{form.format(ends[-1])}"


def _extras(one: LayerChoice) -> str:
    zeros = f"/{one.sparsity:.0%}" if one.sparsity else ""
    return zeros + (f"/{one.n_clusters} values" if one.n_clusters else "")
