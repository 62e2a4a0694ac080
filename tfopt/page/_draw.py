"""A plot: drawn by matplotlib, with the colours of the page, as SVG in it."""

import io
import warnings
from collections.abc import Callable, Mapping
from typing import Any

from markupsafe import Markup

from tfopt.page._svg import GRID, MUTED, SURFACE, themed

# Inches of 72 points, so that a point is a pixel on a phone.
LARGE, SMALL = (5.0, 3.1), (2.6, 1.25)


def draw(
    name: str,
    label: str,
    make: Callable[[Any], Mapping[str, str] | None],
    size: tuple[float, float] = LARGE,
) -> Markup:
    """Draws axes.

    Args:
        name: a name in the page, that no other plot has.
        label: what it shows, for who cannot see it.
        make: draws on the axes of matplotlib that it is given, in the colours of `_svg`. What it returns are words to
            show where the pointer is over a mark: the `gid` of the mark -> words.
        size: width and height in inches.

    >>> svg = draw("steps", "two steps", lambda axes: axes.plot([1, 2]) and None)
    >>> svg.startswith('<svg viewBox="0 0 360 '), "<metadata" in svg, 'id="steps-' in svg
    (True, False, True)
    """
    # Imported here: it takes half a second, and there may be nothing to draw.
    import matplotlib
    from matplotlib.figure import Figure

    small = size[0] < LARGE[0]
    settings: dict[Any, Any] = {
        "svg.fonttype": "none",  # text stays text, in the font of the page
        "svg.hashsalt": name,  # the same plot has the same ids each time
        "text.parse_math": False,  # a name may hold dollar signs
        "font.size": 8 if small else 10,
        "text.color": MUTED,
        "axes.edgecolor": GRID,
        "axes.labelcolor": MUTED,
        "axes.facecolor": "none",
        "axes.spines.top": False,
        "axes.spines.right": False,
        "axes.grid": not small,
        "axes.axisbelow": True,
        "grid.color": GRID,
        "grid.linewidth": 0.6,
        "xtick.color": MUTED,
        "ytick.color": MUTED,
        "xtick.major.size": 0,
        "ytick.major.size": 0,
        "legend.frameon": False,
        "lines.markeredgecolor": SURFACE,
    }
    with matplotlib.rc_context(settings), warnings.catch_warnings():
        # Widths are measured in a font that lacks some letters; the page's font has them.
        warnings.filterwarnings("ignore", "Glyph .* missing from")
        figure = Figure(figsize=size, layout="constrained", facecolor="none")
        hints = make(figure.subplots()) or {}
        stream = io.StringIO()
        figure.savefig(stream, format="svg", transparent=True, metadata={"Date": None})
    return themed(stream.getvalue(), name, label, hints)
