"""Layer by layer: decibels, bits, ranges, zeros and bytes."""

from collections.abc import Iterable, Mapping
from typing import Any

from tfopt._text import format_bytes, percent
from tfopt.page._blocks import Block, Cell, DataTable, Plot, Plots
from tfopt.page._content import Content
from tfopt.page._draw import draw
from tfopt.page._figures import dimensions
from tfopt.page._matched import operators_of_layers
from tfopt.page._svg import SERIES

# A bar of decibels is full here; the weights of a ratio above the second number are on their grid already.
_FULL_DB, _EXACT_DB = 60.0, 140.0
# Rows up to which a table is open.
_OPEN = 40


def layers(content: Content) -> list[Block]:
    """The section's blocks."""
    report, file = content.report("quantize"), content.report("inspect")
    blocks: list[Block] = []
    if report is not None:
        if any(row["activation_db"] is not None for row in report["layers"]):
            blocks.append(Plots((_decibels(report["layers"]),)))
        blocks.append(_layers(report["layers"], operators_of_layers(content), file))
    if file is not None and file["operators"]:
        blocks.append(_operators(file, opened=report is None))
    return blocks


def _layers(rows: Iterable[Mapping[str, Any]], operators: Mapping[str, list[Any]], file: Any) -> DataTable:
    total = file["raw_bytes"] if file else 1
    lines = []
    for row in rows:
        # A layer that is called more than once has as many rows, in the order of the file.
        own = operators.get(row["weights"] or row["path"]) or []
        operator = own.pop(0) if own and row["scale"] is not None else None
        size = None if operator is None else operator["bytes"]
        zeros = None if operator is None else operator["sparsity"]
        lines.append(
            (
                row["path"],
                row["kind"],
                Cell(row["done"], tone="bad" if row["done"] == "float" else ""),
                _decibel_cell(row["activation_db"]),
                _decibel_cell(row["sqnr_db"]),
                "" if row["weight_bits"] is None else str(row["weight_bits"]),
                "" if row["scale"] is None else f"{row['minimum']:.3g} to {row['maximum']:.3g}",
                "" if row["scale"] is None else f"{row['scale']:.3g}",
                "" if zeros is None else Cell(percent(zeros), zeros),
                "" if not size else Cell(f"{format_bytes(size)}, {percent(size / total)}", size / total),
                row["note"],
            )
        )
    caption = (
        "What was done to each operation. dB of the output: its size over the error of rounding it; 8 bits leave 35 to "
        "45 of an output that fills its range, below 20 little is left. dB of the weights: likewise. Zeros and size: "
        "of the operator in the file; the share is of the whole file."
    )
    columns = (
        "layer", "kind", "done", "output dB", "weights dB", "bits", "range", "step", "zeros", "size", "note"
    )  # fmt: skip
    return DataTable(caption, columns, tuple(lines), frozenset({0, 1, 2, 10}))


def _decibel_cell(value: float | None) -> Cell | str:
    if value is None:
        return ""
    return Cell("exact" if value >= _EXACT_DB else f"{value:.1f}", min(max(value / _FULL_DB, 0.0), 1.0))


def _decibels(rows: list[Mapping[str, Any]]) -> Plot:
    known = [(at, row) for at, row in enumerate(rows) if row["activation_db"] is not None]

    def make(axes: Any) -> Mapping[str, str]:
        values = [row["activation_db"] for _, row in known]
        axes.plot([at for at, _ in known], values, "-", color=SERIES[0], linewidth=1, alpha=0.5)
        hints = {}
        for number, (at, row) in enumerate(known):
            axes.plot(at, row["activation_db"], "o", color=SERIES[0], markersize=6, gid=f"layer-{number}")
            hints[f"layer-{number}"] = f"{row['path']}: {row['activation_db']:.1f} dB"
        lowest = min(values)
        axes.set_ylim(lowest - 2 if lowest < 0 else 0.0, max(50.0, *values) + 2)
        axes.set_xlim(-0.5, max(len(rows) - 0.5, 1))
        axes.xaxis.get_major_locator().set_params(integer=True)
        axes.set_xlabel("operation, in the order of the model")
        axes.set_ylabel("dB")
        return hints

    svg = draw("decibels", "decibels of each operation's output", make)
    return Plot(
        svg, "What rounding leaves of each output", "Higher is better. A dip is a layer to look at first."
    )


def _operators(file: Mapping[str, Any], opened: bool) -> DataTable:
    total = file["raw_bytes"] or 1
    lines = tuple(
        (
            str(at),
            row["op"],
            dimensions(row["shape"]) or "scalar",
            row["dtype"],
            "" if row["scale"] is None else f"{row['scale']:.4g}",
            "" if row["bits"] is None else str(row["bits"]),
            "" if row["sparsity"] is None else Cell(percent(row["sparsity"]), row["sparsity"]),
            Cell(format_bytes(row["bytes"]), row["bytes"] / total),
            percent(row["bytes"] / total),
        )
        for at, row in enumerate(file["operators"])
    )
    caption = (
        f"The {len(lines)} operators of the file, in the order in which they run; constants: bytes of weights and "
        f"others, and their share of the {format_bytes(total)} of the file."
    )
    columns = ("#", "operator", "output", "type", "step", "bits", "zeros", "constants", "share")
    fold = "" if opened and len(lines) <= _OPEN else f"The {len(lines)} operators of the file"
    return DataTable(caption, columns, lines, frozenset({0, 1, 2, 3}), fold)
