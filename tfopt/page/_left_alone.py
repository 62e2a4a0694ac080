"""What was left alone, and why: nothing is skipped in silence.

A technique whose report has reasons is a row of `SOURCES`.
"""

import dataclasses
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from tfopt.page._blocks import Block, DataTable, Text
from tfopt.page._content import Content


@dataclasses.dataclass(frozen=True)
class Source:
    """A row of the table.

    Attributes:
        report: the name of a report.
        what: what was not done.
        rows: what was left alone, with the reason, from the report.
    """

    report: str
    what: str
    rows: Callable[[Mapping[str, Any]], Iterator[tuple[str, str]]]


def _with_reason(rows: str, name: str) -> Callable[[Mapping[str, Any]], Iterator[tuple[str, str]]]:
    """The items of a list in a report that have a reason."""
    return lambda report: ((row[name], row["reason"]) for row in report[rows] if row["reason"])


def _floats(report: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    return ((row["path"], row["note"]) for row in report["layers"] if row["done"] == "float")


def _not_compressed(report: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    kernels = (report["compression"] or {}).get("kernels", ())
    return ((row["name"], row["reason"]) for row in kernels if row["reason"])


def _not_found(report: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    return (
        (name, "its tensor was not found in the file, so that it was not compared")
        for name in report["unmatched"]
    )


SOURCES: tuple[Source, ...] = (
    Source("shrink", "no channels removed", _with_reason("layers", "path")),
    Source("factorize", "not factorized", _with_reason("layers", "path")),
    Source("quantize", "computes in float", _floats),
    Source("prune", "stays dense", _with_reason("layers", "path")),
    Source("cluster", "not clustered", _with_reason("layers", "path")),
    Source("export", "not in sparse storage", _with_reason("sparse_kernels", "name")),
    Source("export", "not compressed", _not_compressed),
    Source("verify", "not compared inside", _not_found),
)


def left_alone(content: Content) -> list[Block]:
    """The section's blocks."""
    present = [source for source in SOURCES if content.report(source.report) is not None]
    if not present:
        return []
    lines = tuple(
        (name, source.what, reason)
        for source in present
        for name, reason in source.rows(content.report(source.report))
    )
    blocks: list[Block] = []
    if lines:
        caption = "Each layer or kernel that a technique did not change, with its reason."
        blocks.append(
            DataTable(caption, ("name", "what was not done", "reason"), lines, frozenset({0, 1, 2}))
        )
    elif content.outcome:
        blocks.append(Text(("Nothing: every technique reached each layer that it is for.",)))
    if warnings := (content.report("quantize") or {}).get("warnings"):
        blocks.append(Text(tuple(warnings)))
    return blocks
