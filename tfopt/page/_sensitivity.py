"""What each technique costs in each layer."""

from collections.abc import Mapping, Sequence
from typing import Any

from tfopt._text import printable
from tfopt.page._blocks import Block, DataTable, Plot, Plots
from tfopt.page._content import Content
from tfopt.page._draw import LARGE, draw
from tfopt.page._svg import SERIES

_MARKERS = "os^DvP"
# Layers in the plot, those that lose most; the table has all.
_MOST = 40
# Inches of a row of the plot.
_ROW = 0.19


def sensitivity(content: Content) -> list[Block]:
    """The section's blocks."""
    report = content.report("sensitivity")
    if not report:
        return []
    key, what = _measure(report["rows"])
    rows = [row for row in report["rows"] if row[key] is not None]
    if not rows:
        return [_table(report)]
    worst: dict[str, float] = {}
    for row in rows:
        worst[row["path"]] = max(worst.get(row["path"], float("-inf")), row[key])
    paths = [path for path in worst if path in sorted(worst, key=lambda path: -worst[path])[:_MOST]]
    size = (LARGE[0], max(LARGE[1], 1.0 + _ROW * len(paths)))
    svg = draw("sensitivity", f"{what} of each layer", _dots(rows, paths, key, what), size)
    few = f" The {_MOST} layers that lose most are drawn." if len(paths) < len(worst) else ""
    caption = f"Each mark is one technique in one layer, all others as they were. Left is better.{few}"
    return [Plots((Plot(svg, f"{what[:1].upper()}{what[1:]}", caption),)), _table(report)]


def _measure(rows: Sequence[Mapping[str, Any]]) -> tuple[str, str]:
    """What is drawn: the growth of the loss where it was measured, else what foretells it."""
    known = {
        "loss": "growth of the loss",
        "fisher": "growth of the loss that squared gradients foretell",
        "hessian": "growth of the loss that the curvature foretells",
    }
    return next(
        ((key, what) for key, what in known.items() if any(row[key] is not None for row in rows)),
        ("loss", known["loss"]),
    )


def _dots(rows: Sequence[Mapping[str, Any]], paths: Sequence[str], key: str, what: str) -> Any:
    def make(axes: Any) -> Mapping[str, str]:
        from matplotlib.ticker import FuncFormatter

        hints = {}
        for number, short in enumerate(dict.fromkeys(row["short"] for row in rows)):
            own = [(at, row) for at, row in enumerate(rows) if row["short"] == short and row["path"] in paths]
            for place, (at, row) in enumerate(own):
                axes.plot(
                    row[key],
                    len(paths) - 1 - paths.index(row["path"]),
                    _MARKERS[number % len(_MARKERS)],
                    color=SERIES[number % len(SERIES)],
                    markersize=7,
                    label=printable(short) if not place else None,
                    gid=f"damage-{at}",
                    clip_on=False,
                )
                hints[f"damage-{at}"] = f"{row['path']}, {row['technique']}: {row[key]:+.4g}"
        axes.set_yticks(range(len(paths)), [printable(path)[-32:] for path in reversed(paths)])
        axes.set_xscale("symlog", linthresh=1e-3)
        axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
        axes.set_xlabel(what)
        axes.figure.legend(loc="outside upper left", ncols=4, handletextpad=0.2, columnspacing=1.2)
        return hints

    return make


def _table(report: Mapping[str, Any]) -> DataTable:
    lines = tuple(
        (
            row["path"],
            row["technique"],
            _number(row["loss"]),
            _number(row["drop"]),
            "-" if row["db"] is None else f"{row['db']:.1f}",
            row["reason"] or "",
        )
        for row in report["rows"]
    )
    caption = (
        f"{report['samples']:,} samples. Loss: by how much the mean grows; lost: of "
        f"{report['metric_name'] or 'a metric'}; dB: the outputs over their error."
    )
    return DataTable(
        caption, ("layer", "technique", "loss", "lost", "dB", "why not"), lines, frozenset({0, 1, 5})
    )


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:+.4g}"
