"""The recipe, and the programs that it was used with."""

from tfopt.page._blocks import Block, Code, DataTable, Text
from tfopt.page._content import Content


def recipe(content: Content) -> list[Block]:
    """The section's blocks."""
    if not content.recipe:
        return []
    words = "Give this file to tfopt compress with --recipe to do the same again."
    return [Text((words,)), Code(content.recipe)]


def versions(content: Content) -> list[Block]:
    """The section's blocks."""
    found = dict((content.outcome.get("recipe") or {}).get("versions") or {})
    runtimes = list(dict.fromkeys(row["runtime"] for row in content.rows() if row["runtime"] != "Keras"))
    lines = [(name, version) for name, version in found.items()]
    lines += [("runtime of the file", name) for name in runtimes]
    if not found:
        return []
    caption = "What the figures on this page were made with."
    return [DataTable(caption, ("program", "version"), tuple(lines), frozenset({0, 1}))]
