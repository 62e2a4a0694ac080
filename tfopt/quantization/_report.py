"""What `quantize` did to each layer, and why it left others alone."""

import dataclasses

from tfopt._report import Report, Table


@dataclasses.dataclass(frozen=True)
class LayerReport:
    """One row: `done` is "int8", "fused", "same grid" or "float"; `note` says into what, or why not."""

    path: str
    kind: str
    done: str
    note: str = ""


@dataclasses.dataclass(frozen=True)
class QuantizationReport(Report):
    """A row for each operation of the model, in call order.

    Attributes:
        name: the model's name.
        layers: the rows.

    Example: see `quantize`.
    """

    name: str
    layers: tuple[LayerReport, ...]

    def table(self) -> Table:
        counts = {
            done: sum(row.done == done for row in self.layers) for done in {r.done for r in self.layers}
        }
        total = ", ".join(f"{count} {done}" for done, count in sorted(counts.items()))
        return Table(
            f"Quantization of {self.name}",
            ("layer", "kind", "done", "note"),
            tuple((row.path, row.kind, row.done, row.note) for row in self.layers),
            (f"{len(self.layers)} operations: {total}.",),
        )


def with_notes(report: QuantizationReport, notes: dict[str, str]) -> QuantizationReport:
    """The report with more said about some paths: `notes` maps a path to words."""
    rows = (
        dataclasses.replace(row, note="; ".join(filter(None, (row.note, notes.get(row.path)))))
        for row in report.layers
    )
    return dataclasses.replace(report, layers=tuple(rows))
