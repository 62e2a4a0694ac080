"""What pages print is what they say, but for figures that no two machines share."""

import difflib
from pathlib import Path

import pytest

from tests.docs.pages import PAGES, ROOT, blocks_of, run_page, same, without_figures

PROGRAMS = [
    page
    for page in PAGES
    if any(block.language in ("python", "console") for block in blocks_of(page.read_text(encoding="utf-8")))
]
LANGUAGES = {"python", "console", "text", "bash", "yaml", "cpp"}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_blocks_are_of_a_kind_that_is_checked_or_read(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    blocks = blocks_of(text)
    assert {block.language for block in blocks} <= LANGUAGES
    assert text.count("```") == 2 * len(blocks)
    for block in blocks:
        if block.language == "python":
            compile(block.text, str(page), "exec")
        if block.language == "console":
            assert block.text.startswith("$ ")


@pytest.mark.slow
@pytest.mark.parametrize("page", PROGRAMS, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_a_page_prints_what_it_says(page: Path, tmp_path: Path) -> None:
    for printed in run_page(page.read_text(encoding="utf-8"), tmp_path):
        said, found = (without_figures(text).splitlines() for text in (printed.said.text, printed.text))
        assert same(printed.said.text, printed.text), "\n".join(
            difflib.unified_diff(said, found, "the page", "printed", lineterm="")
        )
