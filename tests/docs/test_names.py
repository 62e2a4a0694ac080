"""Every public name is shown in use on some page: in a program of docs/, or in the example of a docstring."""

import re
import sys
from pathlib import Path

from tests.docs.pages import PAGES, ROOT, blocks_of

sys.path.insert(0, str(ROOT / "docs" / "_hooks"))

from reference_pages import homes, packages

_EXAMPLE = re.compile(r"^\s*(?:>>>|\.\.\.) (.*)$", flags=re.M)


def code_of(path: Path) -> str:
    """The code that a page, or the docstrings of a module, shows."""
    text = path.read_text(encoding="utf-8")
    if path.suffix == ".py":
        return "\n".join(_EXAMPLE.findall(text))
    return "\n".join(block.text for block in blocks_of(text) if block.language == "python")


def test_every_public_name_is_shown_in_use() -> None:
    shown = {
        word
        for path in [*PAGES, *(ROOT / "tfopt").rglob("*.py")]
        for word in re.findall(r"\w+", code_of(path))
    }
    names = {f"tfopt.{name}": name for name in homes()}
    names |= {f"tfopt.{package}.{name}": name for package, listed in packages().items() for name in listed}
    assert len(names) > 250
    missing = sorted(path for path, name in names.items() if name not in shown)
    assert not missing, f"no page and no docstring shows in use: {', '.join(missing)}"
