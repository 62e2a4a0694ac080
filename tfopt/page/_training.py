"""Curves of the training."""

from typing import Any

from tfopt.page._blocks import Block, Plot, Plots, Text
from tfopt.page._content import Content
from tfopt.page._draw import draw
from tfopt.page._svg import SERIES


def training(content: Content) -> list[Block]:
    """The section's blocks."""
    if "epochs" not in content.outcome:
        return []
    history = content.outcome.get("history") or {}
    if not history:
        return [Text(("Nothing was trained.",))]
    epochs = content.outcome["epochs"]
    words = f"{epochs} epoch{'s' * (epochs != 1)}; a point is the mean over one. Losses: lower is better."
    names = sorted(history, key=lambda name: ("loss" not in name, name != "loss"))
    return [Text((words,)), Plots(tuple(_curve(name, history[name], at) for at, name in enumerate(names)))]


def _curve(name: str, values: list[float], at: int) -> Plot:
    def make(axes: Any) -> dict[str, str]:
        epochs = range(1, len(values) + 1)
        axes.plot(epochs, values, "-o", color=SERIES[at % len(SERIES)], markersize=5, linewidth=1.5)
        axes.set_xlabel("epoch")
        axes.set_xlim(0.5, len(values) + 0.5)
        axes.xaxis.get_major_locator().set_params(integer=True)
        axes.ticklabel_format(axis="y", useOffset=False)
        return {}

    svg = draw(f"curve-{at}", f"{name} in each epoch", make, (5.0, 2.2))
    return Plot(svg, name, f"{values[0]:.4g} in the first epoch, {values[-1]:.4g} in the last.")
