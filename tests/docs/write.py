"""Fills in what the blocks of pages print: python -m tests.docs.write docs/guides/prune.md ...

A block in which `...` stands for lines left out stays as it is; what it prints is shown, to choose from.
"""

import sys
import tempfile
from pathlib import Path

from tests.docs.pages import run_page


def write(path: Path) -> None:
    """Runs a page and puts what it prints into it."""
    page = path.read_text(encoding="utf-8")
    with tempfile.TemporaryDirectory() as folder:
        printed = run_page(page, Path(folder))
    for one in reversed(printed):
        if "..." in one.said.text.splitlines():
            print(one.text)
        else:
            page = page[: one.said.begin] + one.text + page[one.said.end :]
    path.write_text(page, encoding="utf-8")


if __name__ == "__main__":
    for name in sys.argv[1:]:
        write(Path(name))
