"""Pages of Markdown as programs: their blocks of code run in order, and print what the page says.

The blocks of a page are one program, in one folder. A block of `python` runs; the next block, if it is `text`, is what
it prints. A block of `console` holds commands after `$`, each with what it prints; `...` stands for lines left out.
Other blocks are for reading alone. `python -m tests.docs.write PAGE ...` fills in what they print.
"""

import contextlib
import dataclasses
import doctest
import io
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import keras

from tests.program import run_tfopt

ROOT = Path(__file__).parent.parent.parent
PAGES = sorted(page for page in [ROOT / "README.md", *(ROOT / "docs").rglob("*.md")])

_FENCE = re.compile(r"^```(\w+)\n(.*?)^```$", flags=re.S | re.M)
_FLAGS = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE


@dataclasses.dataclass
class Block:
    """A fenced block: its language, its text, and where that text is in the page."""

    language: str
    text: str
    begin: int
    end: int


def blocks_of(page: str) -> list[Block]:
    """The fenced blocks of a page, in their order."""
    return [Block(found[1], found[2], found.start(2), found.end(2)) for found in _FENCE.finditer(page)]


@dataclasses.dataclass
class Printed:
    """What a block printed, and the block that says so."""

    said: Block
    text: str


def run_page(page: str, folder: Path) -> list[Printed]:
    """Runs the blocks of a page in a folder.

    Args:
        page: the Markdown.
        folder: where the blocks read and write.
    """
    blocks = blocks_of(page)
    namespace = {"__name__": "__main__"}
    printed = []
    keras.backend.clear_session()
    keras.utils.set_random_seed(0)
    before = Path.cwd()
    os.chdir(folder)
    try:
        for index, block in enumerate(blocks):
            follower = blocks[index + 1] if index + 1 < len(blocks) else None
            if block.language == "python":
                text = _run_python(block.text, folder / f"block_{index}.py", namespace)
                if follower is not None and follower.language == "text":
                    printed.append(Printed(follower, text))
            if block.language == "console":
                printed.append(Printed(block, _run_console(block.text)))
    finally:
        os.chdir(before)
    return printed


def _run_python(code: str, path: Path, namespace: dict[str, object]) -> str:
    path.write_text(code, encoding="utf-8")  # AutoGraph reads the source of functions
    out = io.StringIO()
    with contextlib.redirect_stdout(out):
        exec(compile(code, path, "exec"), namespace)
    return out.getvalue()


def _run_console(session: str) -> str:
    lines = []
    for line in session.splitlines():
        if line.startswith("$ "):
            lines += [line, *_command(line.removeprefix("$ ")).splitlines()]
    return "\n".join(lines) + "\n"


def _command(line: str) -> str:
    if line.startswith("tfopt ") and not set("|&;<>$*") & set(line):  # as most are: nothing for a shell
        return _printed(line, run_tfopt(*shlex.split(line)[1:]))
    words = re.sub(r"^tfopt\b", f"{sys.executable} -m tfopt", line)
    path = os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])
    done = subprocess.run(
        words, shell=True, capture_output=True, text=True, env={**os.environ, "PYTHONPATH": path}
    )
    return _printed(line, done)


def _printed(line: str, done: subprocess.CompletedProcess[str]) -> str:
    if done.returncode not in (0, 1):
        raise RuntimeError(f"{line!r} ended with {done.returncode}:\n{done.stderr}")
    return done.stdout


def without_figures(text: str) -> str:
    """Words only: numbers, units and signs differ from machine to machine."""
    text = re.sub(r"[-+]?\d[\d.,]*(e[-+]?\d+)?(%| %)?", "#", text)
    text = re.sub(r"(?<![\w.])([kM]?B|KiB|ms|us)\b", "", text)
    text = re.sub(r"-{2,}", "--", text)  # under a title, as long as it is
    return re.sub(r"\b(larger|smaller|faster|slower)\b", "so", text)


def same(said: str, found: str) -> bool:
    """Whether a program printed what a page says, but for figures.

    Wider figures wrap the words of a table elsewhere: then its letters are compared.
    """
    said, found = without_figures(said), without_figures(found)
    return doctest.OutputChecker().check_output(said, found, _FLAGS) or _letters(said) == _letters(found)


def _letters(text: str) -> str:
    return "".join(sorted("".join(text.split())))
