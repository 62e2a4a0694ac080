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
    plots = tuple(_plot(report, budget, f"front-{number}") for number, budget in enumerate(report["budget"]))
    return [Plots(plots), _table(report)]


def _plot(report: Mapping[str, Any], budget: str, mark: str) -> Plot:
    form = budget.replace("_", " ")
    svg = draw(mark, f"growth of the loss against {form}", _front(report, budget, mark))
    caption = (
        f"Each point is a choice for every layer, of which none is better in everything: {form}, and the growth of the "
        "mean loss without training. The larger mark is what was taken; the line is the budget."
    )
    return Plot(svg, f"Loss against {form}", caption)


def _front(report: Mapping[str, Any], budget: str, mark: str) -> Any:
    def make(axes: Any) -> Mapping[str, str]:
        from matplotlib.ticker import FuncFormatter, MaxNLocator

        form = budget.replace("_", " ")
        points = sorted(report["points"], key=lambda one: one["costs"][budget])
        hints = {}
        if len(report["budget"]) == 1:  # of several budgets a point may be worse in this one
            costs = [one["costs"][budget] for one in points]
            losses = [one["loss"] for one in points]
            # What is between two points cannot be had.
            axes.plot(costs, losses, color=SERIES[0], linewidth=1, drawstyle="steps-post")
        for at, one in enumerate(points):
            size, cost, name = 11 if one == report["best"] else 6, one["costs"][budget], f"{mark}-{at}"
            axes.plot(cost, one["loss"], "o", color=SERIES[0], markersize=size, gid=name, clip_on=False)
            hints[name] = f"{_figure(cost)} {form}, loss +{one['loss']:.4f}, {_bits(one)}"
        if report["budget"][budget] is not None:
            axes.axvline(report["budget"][budget], color=MUTED, linewidth=1, linestyle="--")
        axes.set_xlim(left=0)
        axes.xaxis.set_major_locator(MaxNLocator(5))
        axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: _figure(value)))
        axes.set_xlabel(form)
        axes.set_ylabel("growth of the loss")
        return hints

    return make


def _figure(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 or float(value).is_integer() else f"{value:.3g}"


def _bits(point: Mapping[str, Any]) -> str:
    bits = sorted({layer["bits"] for layer in point["layers"]})
    return f"{bits[0]} bits" if len(bits) == 1 else f"{bits[0]} to {bits[-1]} bits"


def _table(report: Mapping[str, Any]) -> DataTable:
    chosen = report["best"] or report["points"][0]
    lines = tuple(
        (
            layer["path"],
            str(layer["bits"]),
            percent(layer["sparsity"]),
            str(layer["n_clusters"] or "-"),
            _left(chosen, layer["path"]),
        )
        for layer in chosen["layers"]
    )
    taken = "What was taken" if report["best"] else "No point is within the budget; this is the cheapest"
    costs = ", ".join(f"{_figure(cost)} {name.replace('_', ' ')}" for name, cost in chosen["costs"].items())
    heads = ("layer", "bits", "zeros", "values", "channels or rank left")
    return DataTable(f"{taken}: {costs}.", heads, lines, frozenset({0}))


def _left(point: Mapping[str, Any], path: str) -> str:
    part = {**point["channels"], **point["ranks"]}.get(path)
    return "-" if part is None else percent(part)
