"""Commands that are killed when they are about to change a file: what is left, and how they go on."""

import hashlib
import json
import os
import signal
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

# What changes a file or a folder, as Python's audit events say. Libraries in C write to files that Python opened, or to
# the folder that is not the result yet.
_CHANGES = ("os.rename", "os.remove", "os.mkdir", "os.rmdir", "os.link", "os.truncate", "shutil.rmtree")


def apart(work: Callable[[], object]) -> None:
    """Does something in a process of its own: a process whose TensorFlow has run cannot be forked."""
    child = os.fork()
    if not child:
        code = 1
        try:
            work()
            code = 0
        finally:
            os._exit(code)
    if os.waitpid(child, 0)[1]:
        raise AssertionError("a process failed")


def run(command: str, arguments: list[str], folder: Path, at: int | None = None) -> tuple[int, int]:
    """Runs a command of tfopt in a process of its own, and kills it when it is about to change something.

    Args:
        command: its name.
        arguments: of the command.
        folder: the changes in it count.
        at: the number of the change before which the process gets SIGKILL; None to let it end.

    Returns:
        The exit code, or the signal as a number below 0; and how many changes there were.
    """
    read, write = os.pipe()
    child = os.fork()
    if not child:
        code = 1
        try:
            os.close(read)
            nothing = os.open(os.devnull, os.O_RDWR)
            for number in (0, 1, 2):
                os.dup2(nothing, number)
            seen = _count_changes(folder, at)
            from tfopt import cli

            sys.stdout = sys.stderr = open(os.devnull, "w")  # noqa: SIM115
            code = cli._command(command, arguments)
            os.write(write, str(len(seen)).encode())
        finally:
            os._exit(code)
    os.close(write)
    with os.fdopen(read) as stream:
        changes = int(stream.read() or 0)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), changes


def _count_changes(folder: Path, at: int | None) -> list[str]:
    inside, seen = str(folder.resolve()), []

    def hear(event: str, given: tuple[Any, ...]) -> None:
        writes = event in _CHANGES or (
            event == "open" and isinstance(given[1], str) and bool(set(given[1]) & set("wxa+"))
        )
        if not writes or not isinstance(given[0], (str, bytes, os.PathLike)):
            return
        if os.path.realpath(os.fsdecode(given[0])).startswith(inside):
            if len(seen) == at:
                os.kill(os.getpid(), signal.SIGKILL)
            seen.append(event)

    sys.addaudithook(hear)
    return seen


def digest(folder: Path) -> dict[str, str]:
    """The files of a folder, by name, with a digest of each."""
    if not folder.is_dir():
        return {}
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in folder.iterdir()}


def check_whole(folder: Path, old: dict[str, str], names: tuple[str, ...]) -> None:
    """Raises unless a folder holds the old results, each as it was, or all of the new ones, each whole."""
    held = digest(folder)
    if held == old:
        return
    if set(held) != set(names):
        raise AssertionError(f"{folder} holds {sorted(held)}")
    for path in folder.iterdir():
        if path.suffix == ".keras" and zipfile.ZipFile(path).testzip() is not None:
            raise AssertionError(f"{path} is damaged")
        if path.suffix == ".json":
            json.loads(path.read_text())
        if path.suffix == ".tflite":
            from tfopt.runtimes import TFLiteFile

            TFLiteFile.read(path)
        if path.suffix == ".html" and not path.read_text().rstrip().endswith("</html>"):
            raise AssertionError(f"{path} ends early")
    mixed = {name for name in held if held[name] == old.get(name)} - {"recipe.yaml", "float.tflite"}
    if old and len(mixed) > len(names) // 2:
        raise AssertionError(f"{folder} holds new results beside old ones: {sorted(mixed)}")
