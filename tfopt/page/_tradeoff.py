"""Accuracy against size and latency: each model a point."""

from collections.abc import Mapping
from typing import Any

from tfopt._text import format_bytes, percent, printable
from tfopt.page._blocks import Block, Cell, DataTable, Plot, Plots
from tfopt.page._content import Content
from tfopt.page._draw import draw
from tfopt.page._figures import is_part, latency_text, memory, metric_text
from tfopt.page._svg import SERIES

_MARKERS = "os^DvP"
# Axes across are logarithmic from this ratio of the largest value to the smallest.
_LOGARITHMIC = 8.0


def tradeoff(content: Content) -> list[Block]:
    """The section's blocks."""
    rows = content.rows()
    if not rows:
        return []
    metric = content.report("compare")["metric"]
    files = [row for row in rows if row["runtime"] != "Keras"] or rows
    plots = []
    for name, key, text, what in (
        ("size", "raw_bytes", format_bytes, "bytes of the file"),
        ("latency", "latency_ms", latency_text, "median time of one call on this machine, one thread"),
    ):
        points = [row for row in files if row["metric"] is not None and row[key] is not None]
        if points:
            svg = draw(f"by-{name}", f"{metric} against {name}", _points(points, key, text, metric))
            better = "Up and left are better" if is_part(metric) else "Left is better"
            only = "; only files are drawn" if len(files) < len(rows) else ""
            caption = f"{better}. Across is the {what}{only}."
            plots.append(Plot(svg, f"{metric} against {name}", caption))
    table = _table(rows, metric, content)
    return [Plots(tuple(plots)), table] if plots else [table]


def _points(rows: list[dict[str, Any]], key: str, text: Any, metric: str) -> Any:
    def make(axes: Any) -> Mapping[str, str]:
        from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullFormatter, NullLocator

        hints = {}
        for at, row in enumerate(rows):
            value = 100 * row["metric"] if is_part(metric) else row["metric"]
            axes.plot(
                row[key],
                value,
                _MARKERS[at % len(_MARKERS)],
                color=SERIES[at % len(SERIES)],
                markersize=9,
                label=_label(row["name"]),
                gid=f"point-{at}",
                clip_on=False,
            )
            hints[f"point-{at}"] = f"{row['name']}: {metric_text(row['metric'], metric)}, {text(row[key])}"
        across = [row[key] for row in rows]
        if max(across) > _LOGARITHMIC * min(across):
            axes.set_xscale("log")
            axes.xaxis.set_major_locator(LogLocator(subs=(1.0, 3.0), numticks=6))
            axes.xaxis.set_minor_locator(NullLocator())
            axes.xaxis.set_minor_formatter(NullFormatter())
        else:
            axes.set_xlim(0, 1.08 * max(across))
            axes.xaxis.set_major_locator(MaxNLocator(5))
        axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: "0" if value == 0 else text(value)))
        _room(axes, [row["metric"] * (100 if is_part(metric) else 1) for row in rows], is_part(metric))
        axes.set_ylabel(f"{metric}, %" if is_part(metric) else metric)
        axes.figure.legend(loc="outside upper left", ncols=3, handletextpad=0.2, columnspacing=1.2)
        return hints

    return make


def _label(name: str) -> str:
    """A name in a legend; matplotlib leaves out those that begin with an underscore."""
    return printable(f"\N{HAIR SPACE}{name}" if name.startswith("_") else name)


def _room(axes: Any, values: list[float], part: bool) -> None:
    """Ends of the axis upwards: points that are close stay close, and no part is below 0% or above 100%."""
    low, high = min(values), max(values)
    margin = max(0.25 * (high - low), 0.5 if part else 0.05 * (abs(high) or 1.0))
    ends = (low - margin, high + margin)
    axes.set_ylim(max(ends[0], 0.0), min(ends[1], 100.0)) if part else axes.set_ylim(*ends)


def _table(rows: list[dict[str, Any]], metric: str, content: Content) -> DataTable:
    largest = max(row["raw_bytes"] for row in rows) or 1
    lines = tuple(
        (
            row["name"],
            row["runtime"],
            metric_text(row["metric"], metric),
            Cell(format_bytes(row["raw_bytes"]), row["raw_bytes"] / largest),
            format_bytes(row["gzip_bytes"]),
            latency_text(row["latency_ms"]),
            "-" if memory(row) is None else format_bytes(memory(row) or 0),
            percent(row["sparsity"]),
            "/".join(map(str, row["weight_bits"])) or "-",
        )
        for row in rows
    )
    runs, samples = (content.report("compare")[key] for key in ("latency_runs", "samples"))
    caption = (
        f"The models on {samples:,} samples; bars compare sizes. Of a Keras model the size is that of its weights in "
        f"float32, and the time is that of a call from Python. Latency: median of {runs} calls on the machine that "
        "wrote this page."
    )
    columns = ("model", "runtime", metric, "size", "gzipped", "latency", "memory", "zeros", "bits")
    return DataTable(caption, columns, lines, frozenset({0, 1}))
