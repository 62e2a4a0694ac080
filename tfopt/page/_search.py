"""What a search found: the front of size against loss."""

from collections.abc import Mapping
from typing import Any

from tfopt._text import percent
from tfopt.page._blocks import Block, DataTable, Plot, Plots
from tfopt.page._content import Content
from tfopt.page._draw import draw
from tfopt.page._svg import MUTED, SERIES


def search(content: Content) -> list[Block]:
    """The section's blocks."""
    report = content.report("search")
    if not report or not report["points"]:
        return []
    form = report["form"].replace("_", " ")
    svg = draw("front", f"growth of the loss against {form}", _front(report, form))
    caption = (
        f"Each point is a choice of bits and zeros for every layer, of which none is better in both: {form} as "
        "foreseen and the growth of the mean loss, the sum over layers. The larger mark is what was taken; the line is "
        "the budget."
    )
    return [Plots((Plot(svg, f"Loss against {form}", caption),)), _table(report, form)]


def _front(report: Mapping[str, Any], form: str) -> Any:
    def make(axes: Any) -> Mapping[str, str]:
        from matplotlib.ticker import FuncFormatter, MaxNLocator

        points, hints = report["points"], {}
        axes.plot(
            [one["cost"] for one in points],
            [one["loss"] for one in points],
            color=SERIES[0],
            linewidth=1,
            drawstyle="steps-post",  # what is between two points cannot be had
        )
        for at, one in enumerate(points):
            size = 11 if one == report["best"] else 6
            mark = f"front-{at}"
            axes.plot(
                one["cost"], one["loss"], "o", color=SERIES[0], markersize=size, gid=mark, clip_on=False
            )
            hints[mark] = f"{one['cost']:,} {form}, loss +{one['loss']:.4f}, {_bits(one)}"
        if report["budget"] is not None:
            axes.axvline(report["budget"], color=MUTED, linewidth=1, linestyle="--")
        axes.set_xlim(left=0)
        axes.xaxis.set_major_locator(MaxNLocator(5))
        axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}"))
        axes.set_xlabel(form)
        axes.set_ylabel("growth of the loss")
        return hints

    return make


def _bits(point: Mapping[str, Any]) -> str:
    bits = sorted({layer["bits"] for layer in point["layers"]})
    return f"{bits[0]} bits" if len(bits) == 1 else f"{bits[0]} to {bits[-1]} bits"


def _table(report: Mapping[str, Any], form: str) -> DataTable:
    chosen = report["best"] or report["points"][0]
    lines = tuple(
        (layer["path"], str(layer["bits"]), percent(layer["sparsity"])) for layer in chosen["layers"]
    )
    taken = "What was taken" if report["best"] else "No point is within the budget; this is the cheapest"
    caption = f"{taken}: {chosen['cost']:,} {form} as foreseen."
    return DataTable(caption, ("layer", "bits", "zeros"), lines, frozenset({0}))
