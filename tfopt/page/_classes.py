"""Which classes the models say: the confusion matrix, and the samples of which the result says another one."""

from collections.abc import Mapping
from typing import Any

from tfopt._text import percent
from tfopt.page._blocks import Block, Cell, DataTable, Text
from tfopt.page._content import Content

# Classes up to which the whole matrix is shown; beyond, the pairs that are confused most.
_MATRIX, _PAIRS = 20, 30
_CHANGED = 200


def classes(content: Content) -> list[Block]:
    """The section's blocks."""
    report = (content.report("compare") or {}).get("classes")
    if not report:
        return []
    label = _labels(report)
    first, last = report["models"][0], report["models"][-1]
    blocks: list[Block] = []
    if report["classes"] <= _MATRIX:
        blocks.append(_matrix(report, first, last, label))
    else:
        blocks.append(_pairs(first, last, label))
    if len(report["models"]) > 1:
        blocks.append(_changed(report, first["name"], last["name"], label))
    return blocks


def _labels(report: Mapping[str, Any]) -> Any:
    names = report["names"]
    return lambda number: f"{number} {names[number]}" if number < len(names) else str(number)


def _counts(model: Mapping[str, Any]) -> dict[tuple[int, int], int]:
    return {(label, said): number for label, said, number in model["confusion"]}


def _matrix(report: Mapping[str, Any], first: Any, last: Any, label: Any) -> DataTable:
    before, after = _counts(first), _counts(last)
    numbers = range(report["classes"])
    lines = []
    for row in numbers:
        total = sum(after.get((row, column), 0) for column in numbers)
        cells = []
        for column in numbers:
            count = after.get((row, column), 0)
            change = count - before.get((row, column), 0)
            text = f"{count or '·'}{f' ({change:+d})' if change else ''}"
            tone = "" if not change else "good" if (change > 0) == (row == column) else "bad"
            cells.append(Cell(text, count / total if total else 0.0, "heat", tone))
        right = after.get((row, row), 0) / total if total else None
        lines.append((label(row), *cells, "-" if right is None else percent(right)))
    caption = (
        f"Confusion matrix of {last['name']}: a row for each true class, a column for each that it says; the stronger "
        "a cell, the larger its part of the row."
    )
    if last is not first:
        caption += f" In brackets: how many more samples than with {first['name']}."
    columns = ("true class", *map(label, numbers), "right")
    return DataTable(caption, columns, tuple(lines))


def _pairs(first: Any, last: Any, label: Any) -> DataTable:
    before, after = _counts(first), _counts(last)
    wrong = {pair: number for pair, number in after.items() if pair[0] != pair[1]}
    most = sorted(wrong.items(), key=lambda item: (-item[1], item[0]))[:_PAIRS]
    lines = tuple(
        (label(pair[0]), label(pair[1]), str(number), str(before.get(pair, 0))) for pair, number in most
    )
    which = f"The {len(lines)} of {len(wrong):,} pairs" if len(lines) < len(wrong) else "All pairs"
    caption = f"{which} of classes that {last['name']} confuses, the most frequent first."
    columns = ("true class", "it says", "samples", f"with {first['name']}")
    return DataTable(caption, columns, lines, frozenset({0, 1}))


def _changed(report: Mapping[str, Any], first: str, last: str, label: Any) -> Block:
    changed = report["changed"]
    if not changed:
        return Text((f"{last} says the same class as {first} for all {report['samples']:,} samples.",))
    lines = []
    for one in changed[:_CHANGED]:
        tone = "good" if one["after"] == one["label"] else "bad" if one["before"] == one["label"] else ""
        word = {"good": "now right", "bad": "now wrong", "": "still wrong"}[tone]
        said = (label(one[key]) for key in ("label", "before", "after"))
        lines.append((str(one["index"]), *said, Cell(word, tone=tone)))
    more = "" if len(changed) <= _CHANGED else f" The first {_CHANGED}; all are in the data."
    caption = (
        f"The {len(changed):,} of {report['samples']:,} samples of which {last} says another class than {first}, by "
        f"their number in the data, counted from 0.{more}"
    )
    columns = ("sample", "true class", first, last, "outcome")
    return DataTable(caption, columns, tuple(lines), frozenset({0, 1, 2, 3, 4}))
