"""What a section of the page is made of: values, which `templates/blocks.html` writes as HTML.

Text is plain text: the templates escape it. Only a `Plot` holds HTML, made by `draw`.
"""

import dataclasses
from typing import ClassVar

from markupsafe import Markup


@dataclasses.dataclass(frozen=True)
class Text:
    """A paragraph; or a list, where there are several."""

    kind: ClassVar[str] = "text"
    lines: tuple[str, ...]


@dataclasses.dataclass(frozen=True)
class Fact:
    """A figure in large print.

    Attributes:
        name: what it is.
        value: the figure.
        detail: what it is compared with.
        tone: `"good"`, `"bad"` or `""`.
    """

    name: str
    value: str
    detail: str = ""
    tone: str = ""


@dataclasses.dataclass(frozen=True)
class Facts:
    """Figures side by side."""

    kind: ClassVar[str] = "facts"
    facts: tuple[Fact, ...]


@dataclasses.dataclass(frozen=True)
class Cell:
    """A cell of a table.

    Attributes:
        text: what it says.
        share: how much of it is filled with a colour, 0 to 1; None for none.
        form: whether it is filled as a `"bar"` from the left, or as `"heat"`, whole and as strong.
        tone: `"good"`, `"bad"` or `""`.
    """

    text: str
    share: float | None = None
    form: str = "bar"
    tone: str = ""


@dataclasses.dataclass(frozen=True)
class DataTable:
    """A table that scrolls in itself where it is too wide or too long.

    Attributes:
        caption: what it shows, and how to read it.
        columns: the heads of the columns.
        rows: a cell or its text for each column.
        words: the columns that are text, by number; others are aligned right. The first is the row's head.
        fold: words to click on to open it; empty for a table that is open.
    """

    kind: ClassVar[str] = "table"
    caption: str
    columns: tuple[str, ...]
    rows: tuple[tuple[Cell | str, ...], ...]
    words: frozenset[int] = frozenset({0})
    fold: str = ""

    def cells(self) -> list[list[Cell]]:
        """The rows, each cell a `Cell`."""
        return [[one if isinstance(one, Cell) else Cell(one) for one in row] for row in self.rows]


@dataclasses.dataclass(frozen=True)
class Plot:
    """A plot, with words on how to read it.

    Attributes:
        svg: from `draw`.
        title: its heading.
        caption: how to read it.
    """

    svg: Markup
    title: str
    caption: str = ""


@dataclasses.dataclass(frozen=True)
class Plots:
    """Plots side by side, as many as there is room for; `small` ones without scales to read off."""

    kind: ClassVar[str] = "plots"
    plots: tuple[Plot, ...]
    small: bool = False


@dataclasses.dataclass(frozen=True)
class Code:
    """Text of a program, as it is."""

    kind: ClassVar[str] = "code"
    text: str


Block = Text | Facts | DataTable | Plots | Code
