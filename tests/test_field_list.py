"""Each public report of the list is held by a test that exists, and a test that names reports is in the list."""

import ast
import functools
import re
from pathlib import Path

import pytest

from tests.field_list import HELD, IN_WORDS, NOT_OURS, NUMBERS

HERE = Path(__file__).parent
_TRACKERS = "|".join(sorted(filter(None, NUMBERS), key=len, reverse=True))


def reports(text: str) -> set[tuple[str, int]]:
    """The reports that a text names: a tracker and numbers behind it, or numbers alone."""
    named = re.findall(rf"(?:({_TRACKERS}) )?(#\d+(?: #\d+)*)", text)
    return {(tracker, int(number)) for tracker, numbers in named for number in re.findall(r"\d+", numbers)}


@functools.cache
def _functions(path: Path) -> set[str]:
    return {node.name for node in ast.parse(path.read_text()).body if isinstance(node, ast.FunctionDef)}


def test_names_of_reports_are_read():
    assert reports("#4 #1107, TF #1: a net; LiteRT-LM #2 #3 and LiteRT #5") == {
        ("", 4), ("", 1107), ("TF", 1), ("LiteRT-LM", 2), ("LiteRT-LM", 3), ("LiteRT", 5)
    }  # fmt: skip


@pytest.mark.parametrize("place", sorted({*HELD, *IN_WORDS.values()}))
def test_what_holds_a_report_exists(place):
    path, name = place.split("::")
    assert name in _functions(HERE / path)


def test_every_report_is_held_or_not_ours():
    read = {(tracker, number) for tracker, numbers in NUMBERS.items() for number in numbers}
    held, others = (set().union(*map(reports, texts)) for texts in (HELD.values(), NOT_OURS))
    assert held | others == read
    assert not held & others


@pytest.mark.parametrize("path", sorted(HERE.glob("test_field_*.py")), ids=lambda path: path.name)
def test_rows_and_the_list_name_the_same_reports(path):
    if path == Path(__file__):
        return
    listed = (text for place, text in HELD.items() if place.startswith(path.name))
    assert reports(path.read_text()) == set().union(*map(reports, listed))
