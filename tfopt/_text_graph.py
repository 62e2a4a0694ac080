"""A graph as text: a line for each step, and beside it the tensors that are alive, as rails."""

import dataclasses
from collections import Counter
from collections.abc import Sequence

from tfopt._text import printable

# Columns that rails may take; more are not drawn.
_RAILS = 24


@dataclasses.dataclass(frozen=True)
class Step:
    """What is done to tensors.

    Attributes:
        label: words behind the rails.
        reads: names of the tensors that it reads; none for an input of the graph.
        writes: names of the tensors that it makes.
    """

    label: str
    reads: tuple[str, ...]
    writes: tuple[str, ...]


def text_graph(steps: Sequence[Step], outputs: Sequence[str], width: int = 80) -> str:
    """Draws steps in their order, each a bullet, with lines from the tensors that it reads.

    A rail is a tensor that some later step reads. `├`, `┤` or `┼` is where one is read and lives on, `╯`, `╰` or `┴`
    where it ends; a line that meets `│` passes behind it. A tensor that nothing before has made, a constant, is not
    drawn; a line that is too long is cut.

    Args:
        steps: in an order in which they can run.
        outputs: names of the tensors that the graph returns; their lines end in `→`.
        width: columns.

    >>> steps = [Step("x", (), ("x",)), Step("conv", ("x",), ("c",)), Step("add", ("c", "x"), ("y",))]
    >>> print(text_graph(steps, ["y"]))
    ●   x
    ├─● conv
    ╰─● add →
    """
    left = Counter(name for step in steps for name in dict.fromkeys(step.reads))
    lanes: list[str | None] = []
    drawn: list[tuple[str, str]] = []
    for step in steps:
        reads = [name for name in dict.fromkeys(step.reads) if name in lanes]
        left.subtract(reads)
        ends = [name for name in reads if left[name] <= 0]
        at = lanes.index(ends[0]) if ends else _free(lanes)
        drawn.append((_line(lanes, at, reads, ends), _label(step, outputs)))
        for name in ends:
            lanes[lanes.index(name)] = None
        for place, name in enumerate(name for name in step.writes if left[name] > 0):
            lanes[at if place == 0 else _free(lanes)] = name
        while lanes and lanes[-1] is None:
            lanes.pop()
    rails = min(max((len(line) for line, _ in drawn), default=0), _RAILS)
    lines = [f"{_cut(line, rails):{rails}} {label}" for line, label in drawn]
    return "\n".join(_cut(line.rstrip(), width) for line in lines)


def _free(lanes: list[str | None]) -> int:
    """The first lane without a tensor; a new one if there is none."""
    if None not in lanes:
        lanes.append(None)
    return lanes.index(None)


def _line(lanes: list[str | None], at: int, reads: list[str], ends: list[str]) -> str:
    """The rails at a step in a lane that reads tensors in others."""
    places = [lanes.index(name) for name in reads]
    low, high = min([at, *places]), max([at, *places])
    signs = []
    for place, name in enumerate(lanes):
        signs.append("●" if place == at else _sign(name, place, at, (low, high), reads, ends))
        signs.append("─" if low <= place < high else " ")
    return "".join(signs).rstrip()


def _sign(
    name: str | None, place: int, at: int, span: tuple[int, int], reads: list[str], ends: list[str]
) -> str:
    """How a lane looks beside the step: it may be read, end, be crossed or just go on."""
    low, high = span
    crossed = low < place < high
    if name is None:
        return "─" if crossed else " "
    if name not in reads:
        return "│"
    if crossed:
        return "┴" if name in ends else "┼"
    if name in ends:
        return "╰" if place < at else "╯"
    return "├" if place < at else "┤"


def _label(step: Step, outputs: Sequence[str]) -> str:
    label = printable(step.label).replace("\n", " ")
    return f"{label} →" if set(step.writes) & set(outputs) else label


def _cut(text: str, width: int) -> str:
    return text if len(text) <= width else text[: width - 1] + "…"
