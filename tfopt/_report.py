"""The base of all reports: a report prints as a table, and converts to Markdown and to plain JSON types."""

import dataclasses
import html
import io
from typing import Any

from tfopt._text import printable

TERMINAL_WIDTH = 80


@dataclasses.dataclass(frozen=True)
class Table:
    """A title, column names, rows of strings and notes below them.

    Columns of numbers are aligned right, others left. Text that does not fit in 80 columns is wrapped.
    """

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    notes: tuple[str, ...] = ()

    def __str__(self) -> str:
        # Imported here: importing rich takes a tenth of a second, and most reports are not printed.
        from rich.console import Console
        from rich.table import Table as RichTable

        table = RichTable(
            title=printable(self.title), title_justify="left", title_style="bold", box=None, pad_edge=False
        )
        for index, column in enumerate(self.columns):
            numbers = all(row[index][:1].isdigit() or row[index] in ("", "-") for row in self.rows)
            table.add_column(column, justify="right" if index and numbers else "left", overflow="fold")
        for row in self.rows:
            table.add_row(*map(printable, row))
        stream = io.StringIO()
        console = Console(file=stream, width=TERMINAL_WIDTH, color_system=None, markup=False, highlight=False)
        console.print(table)
        for note in self.notes:
            console.print(printable(note))
        return "\n".join(line.rstrip() for line in stream.getvalue().splitlines())

    def to_markdown(self) -> str:
        """The same table in Markdown, with the title as a heading."""
        lines = [f"## {_markdown(self.title)}", "", _markdown_row(self.columns)]
        lines.append(_markdown_row((":--", *("--:",) * (len(self.columns) - 1))))
        lines.extend(_markdown_row(row) for row in self.rows)
        lines.extend(text for note in self.notes for text in ("", _markdown(note)))
        return "\n".join(lines) + "\n"


def _markdown_row(cells: tuple[str, ...]) -> str:
    return "| " + " | ".join(_markdown(cell).replace("|", "\\|").replace("\n", " ") for cell in cells) + " |"


def _markdown(text: str) -> str:
    """Text in which names cannot be taken for HTML."""
    return html.escape(printable(text), quote=False)


class Report:
    """Base of the dataclasses that `quantize`, `export`, `verify` and `compare` return.

    A subclass is a frozen dataclass with JSON-ready fields and a `table` method; the rest follows.
    """

    def table(self) -> Table:
        """The table that `print` shows."""
        raise NotImplementedError

    def __str__(self) -> str:
        return str(self.table())

    def to_markdown(self) -> str:
        """The table in Markdown."""
        return self.table().to_markdown()

    def to_dict(self) -> dict[str, Any]:
        """All fields as plain JSON types: dict, list, str, int, float, bool, None."""
        return _plain(dataclasses.asdict(self))  # type: ignore[call-overload]


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    return value
