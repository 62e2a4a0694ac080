"""Histograms of the weights in the file."""

from collections.abc import Mapping
from typing import Any

from tfopt._text import format_bytes, percent
from tfopt.page._blocks import Block, Plot, Plots, Text
from tfopt.page._content import Content
from tfopt.page._draw import SMALL, draw
from tfopt.page._figures import dimensions
from tfopt.page._matched import layers_of_kernels
from tfopt.page._svg import SERIES

# Kernels that are drawn, the largest.
_DRAWN = 24


def weights(content: Content) -> list[Block]:
    """The section's blocks."""
    kernels = (content.report("inspect") or {}).get("kernels") or []
    if not kernels:
        return []
    largest = sorted(range(len(kernels)), key=lambda at: -kernels[at]["bytes"])[:_DRAWN]
    layer = layers_of_kernels(content)
    plots = tuple(_histogram(kernels[at], at, layer) for at in sorted(largest))
    which = (
        f"The {len(plots)} largest of {len(kernels)} kernels" if len(plots) < len(kernels) else "Every kernel"
    )
    words = (
        f"{which} in the file, in the order in which it runs: how often each value occurs. Integers are codes: they "
        "span all that the bits can hold, so that a narrow heap wastes bits. A bar at zero that stands out is pruning."
    )
    return [Text((words,)), Plots(plots, small=True)]


def _histogram(kernel: Mapping[str, Any], at: int, layer: Mapping[str, str]) -> Plot:
    def make(axes: Any) -> None:
        counts, low, high = kernel["counts"], kernel["low"], kernel["high"]
        width = (high - low) / len(counts)
        edges = [low + width * number for number in range(len(counts) + 1)]
        axes.stairs(counts, edges, fill=True, color=SERIES[0], linewidth=0)
        axes.set_xlim(low, high)
        axes.set_ylim(0, max(max(counts), 1) * 1.05)
        axes.set_yticks([])
        axes.spines["left"].set_visible(False)
        ends = (round(low + 0.5), 0, round(high - 0.5)) if kernel["codes"] else (low, high)
        axes.set_xticks(ends, [f"{end:.3g}" for end in ends])

    svg = draw(f"kernel-{at}", f"histogram of {kernel['size']} weights", make, SMALL)
    facts = (
        dimensions(kernel["shape"]),
        f"{kernel['bits']} bits",
        format_bytes(kernel["bytes"]),
        f"{percent(kernel['sparsity'])} zeros",
    )
    return Plot(svg, layer.get(kernel["name"], kernel["name"]), ", ".join(facts))
