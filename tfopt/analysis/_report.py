"""What each technique costs in each layer, as rows of plain data and as a table."""

import dataclasses

from tfopt._report import Report, Table

_NAMED = 3


@dataclasses.dataclass(frozen=True)
class Damage:
    """A row: one technique in one layer, all others as they were.

    Attributes:
        path: the layer's path; an input's name.
        kind: what the layer is, as in `tfopt.graph.kind`.
        technique: its name in `TECHNIQUES`.
        short: what it is called in tables.
        weights: how many weights the layer has in its kernels.
        loss: by how much the mean loss grows; None where it was not measured.
        drop: what the metric loses: points of a fraction, percent of an error.
        db: the size of the network's outputs over their error, in decibels; at most 140.
        output_db: the same of the layer's own output.
        fisher: the growth of the loss that squared gradients foretell.
        hessian: the growth of the loss that the mean curvature foretells.
        reason: why the layer cannot have the technique; "" if it can.
    """

    path: str
    kind: str
    technique: str
    short: str
    weights: int = 0
    loss: float | None = None
    drop: float | None = None
    db: float | None = None
    output_db: float | None = None
    fisher: float | None = None
    hessian: float | None = None
    reason: str = ""

    @property
    def order(self) -> tuple[float, ...]:
        """What rows are sorted by, the worst last: the loss where it was measured, else what was."""
        proxies = (self.loss, self.fisher, self.hessian, None if self.output_db is None else -self.output_db)
        return tuple(float("-inf") if one is None else one for one in proxies)


@dataclasses.dataclass(frozen=True)
class Correlation:
    """How well a proxy orders layers: Spearman's rank correlation with the measured growth of the loss.

    Attributes:
        proxy: `"output_db"`, `"fisher"` or `"hessian"`.
        technique: the technique whose layers are compared; "" for all rows together.
        rank: 1 for the same order; None for fewer than three rows.
        rows: how many were compared.
    """

    proxy: str
    technique: str
    rank: float | None
    rows: int


@dataclasses.dataclass(frozen=True)
class SensitivityReport(Report):
    """A row for each layer and technique.

    Attributes:
        name: the model's name.
        samples: how many it was measured with.
        metric_name: the metric; "" for none.
        metric: its value in float.
        loss: the mean loss in float.
        rows: the rows, layer by layer.
        correlations: how proxies agree with measurement.
        seconds: how long each way took, by `"measured"` and the names of proxies.
        notes: what was chosen, and what could not be had.

    Example: see `sensitivity`.
    """

    name: str
    samples: int
    metric_name: str
    metric: float | None
    loss: float | None
    rows: tuple[Damage, ...]
    correlations: tuple[Correlation, ...] = ()
    seconds: dict[str, float] = dataclasses.field(default_factory=dict)
    notes: tuple[str, ...] = ()

    def worst(self, technique: str, number: int = _NAMED) -> tuple[Damage, ...]:
        """The rows of a technique that cost most, the worst first.

        Args:
            technique: its name.
            number: how many.
        """
        rows = [row for row in self.rows if row.technique == technique and not row.reason]
        return tuple(sorted(rows, key=lambda row: row.order, reverse=True)[:number])

    def table(self) -> Table:
        """A row for each layer, a column for each technique."""
        field, words = self._shown()
        shorts = {row.short: row.technique for row in self.rows}
        found = {(row.path, row.short): getattr(row, field) for row in self.rows}
        # A layer that can have none of the techniques has rows, with reasons, and no line.
        paths = dict.fromkeys(row.path for row in self.rows if not row.reason)
        lines = tuple((path, *(_cell(found.get((path, short)), field) for short in shorts)) for path in paths)
        return Table(
            f"Sensitivity of {self.name}",
            ("layer", *shorts),
            lines,
            (
                f"{words}.",
                ", ".join(f"{short}: {name}" for short, name in shorts.items()) + ".",
                *self._about_worst(shorts.values()),
                *self._about_proxies(),
                *self._about_time(),
                *self.notes,
            ),
        )

    def _shown(self) -> tuple[str, str]:
        """The field in the cells, and what it is."""
        if any(row.drop is not None for row in self.rows):
            return (
                "drop",
                f"Loss of {self.metric_name} on {self.samples:,} samples, {self.metric:.4g} in float",
            )
        if any(row.db is not None for row in self.rows):
            return "db", f"Decibels of the outputs on {self.samples:,} samples"
        field = next((name for name in ("output_db", "fisher", "hessian") if self._has(name)), "output_db")
        return field, f"By {field}, on {self.samples:,} samples"

    def _has(self, field: str) -> bool:
        return any(getattr(row, field) is not None for row in self.rows)

    def _about_worst(self, techniques) -> tuple[str, ...]:  # type: ignore[no-untyped-def]
        worst = ((name, self.worst(name)) for name in techniques)
        return tuple(
            f"Worst of {name}: {', '.join(row.path for row in rows)}." for name, rows in worst if rows
        )

    def _about_proxies(self) -> tuple[str, ...]:
        found = [
            f"{one.proxy} {one.rank:.2f}"
            for one in self.correlations
            if not one.technique and one.rank is not None
        ]
        return (f"Rank correlation with the measured loss: {', '.join(found)}.",) if found else ()

    def _about_time(self) -> tuple[str, ...]:
        took = ", ".join(f"{name} {seconds:.1f}" for name, seconds in self.seconds.items())
        return (f"Seconds: {took}.",) if took else ()


def _cell(value: float | None, field: str) -> str:
    if value is None:
        return "-"
    return f"{value:.1f}" if field in ("drop", "db", "output_db") else f"{value:.1g}"
