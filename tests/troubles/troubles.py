"""What can be wrong where a command writes and prints: a place for the target, and what the command must say then."""

import contextlib
import dataclasses
import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

OLD = b"old"


@dataclasses.dataclass(frozen=True)
class Trouble:
    """One trouble.

    Attributes:
        place: makes the target's place in an empty folder, from the target's ending and what lies in a folder of
            results; gives the target.
        words: what the sentence must say; empty where the command must do its work.
        may_hold: it may do its work as well: there is room for some.
        out: what standard output is: "pipe", or "closed pipe", "full" (`/dev/full`), "closed", "ascii".
        most: bytes that a file may have; 0 for any.
        takes: the kinds of target that it is for: "file", "folder", "none".
    """

    place: Callable[[Path, str, str], contextlib.AbstractContextManager[Path]]
    words: str = ""
    may_hold: bool = False
    out: str = "pipe"
    most: int = 0
    takes: tuple[str, ...] = ("file", "folder")


def _old(path: Path, ending: str, file: str) -> Path:
    """Older results at a place."""
    if ending:
        path.write_bytes(OLD)
    else:
        path.mkdir()
        (path / file).write_bytes(OLD)
    return path


@contextlib.contextmanager
def _mounted(folder: Path, *options: str) -> Iterator[Path]:
    """A disk of 1 MB of its own."""
    folder.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", folder], check=True)
    try:
        yield folder
    finally:
        subprocess.run(["umount", folder], check=True)


@contextlib.contextmanager
def _read_only(folder: Path, ending: str, file: str) -> Iterator[Path]:
    with _mounted(folder / "disk") as disk:
        _old(disk / f"out{ending}", ending, file)
        subprocess.run(["mount", "-o", "remount,ro", disk], check=True)
        yield disk / f"out{ending}"


def _full(left: int) -> Callable[[Path, str, str], contextlib.AbstractContextManager[Path]]:
    @contextlib.contextmanager
    def place(folder: Path, ending: str, file: str) -> Iterator[Path]:
        with _mounted(folder / "disk") as disk:
            target = _old(disk / f"out{ending}", ending, file)
            room = os.statvfs(disk)
            (disk / "rest").write_bytes(bytes(room.f_bavail * room.f_frsize - left))
            yield target

    return place


def _named(
    name: str, old: bool = True
) -> Callable[[Path, str, str], contextlib.AbstractContextManager[Path]]:
    @contextlib.contextmanager
    def place(folder: Path, ending: str, file: str) -> Iterator[Path]:
        path = folder / f"{name}{ending}"
        yield _old(path, ending, file) if old else path

    return place


@contextlib.contextmanager
def _capitals(folder: Path, ending: str, file: str) -> Iterator[Path]:
    yield _old(folder / f"OUT{ending.upper()}", ending, file)


@contextlib.contextmanager
def _below_a_file(folder: Path, ending: str, file: str) -> Iterator[Path]:
    (folder / "file").write_bytes(OLD)
    yield folder / "file" / f"out{ending}"


@contextlib.contextmanager
def _other_kind(folder: Path, ending: str, file: str) -> Iterator[Path]:
    path = folder / f"out{ending}"
    if ending:
        path.mkdir()
    else:
        path.write_bytes(OLD)
    yield path


@contextlib.contextmanager
def _no_folder(folder: Path, ending: str, file: str) -> Iterator[Path]:
    yield folder / "none" / f"out{ending}"


@contextlib.contextmanager
def _pipe(folder: Path, ending: str, file: str) -> Iterator[Path]:
    os.mkfifo(folder / f"out{ending}")
    yield folder / f"out{ending}"


@contextlib.contextmanager
def _link(folder: Path, ending: str, file: str) -> Iterator[Path]:
    (folder / "far").mkdir()
    target = _old(folder / "far" / f"real{ending}", ending, file)
    (folder / f"out{ending}").symlink_to(target)
    yield folder / f"out{ending}"


@contextlib.contextmanager
def _dangling(folder: Path, ending: str, file: str) -> Iterator[Path]:
    (folder / f"out{ending}").symlink_to(folder / "none" / f"out{ending}")
    yield folder / f"out{ending}"


_FULL, _EVERYWHERE = "No space left on device", ("file", "folder", "none")

TROUBLES = {
    "read-only folder": Trouble(_read_only, "that you may write to|where you may write"),
    "a file for a folder": Trouble(_below_a_file, "there is no folder|is not a folder"),
    "folder and file": Trouble(_other_kind, "Got the (folder|file)|is not a folder"),
    "no folder": Trouble(_no_folder, "there is no folder", takes=("file",)),
    "a pipe for a file": Trouble(_pipe, "Got the (device or pipe|file)|is not a folder"),
    "full disk": Trouble(_full(0), _FULL),
    "disk of 4 kB": Trouble(_full(4 << 10), _FULL, may_hold=True),
    "disk of 40 kB": Trouble(_full(40 << 10), _FULL, may_hold=True),
    "disk of 400 kB": Trouble(_full(400 << 10), _FULL, may_hold=True),
    "files of 1 kB": Trouble(_named("out"), "File too large", may_hold=True, most=1 << 10),
    "link": Trouble(_link),
    "link to nowhere": Trouble(_dangling, "there is no folder", takes=("file",)),
    "spaces": Trouble(_named("a name with spaces")),
    "letters": Trouble(_named("Größe 日本 é́")),
    "no UTF-8": Trouble(_named(os.fsdecode(b"\xff\xfe")), "must be in UTF-8", may_hold=True),
    "capitals": Trouble(_capitals, "in small letters", may_hold=True),
    "new": Trouble(_named("out", old=False)),
    "ASCII terminal": Trouble(_named("Größe 日本"), out="ascii", takes=_EVERYWHERE),
    "closed pipe": Trouble(_named("out"), out="closed pipe", takes=_EVERYWHERE),
    "/dev/full": Trouble(_named("out"), _FULL, out="full", takes=_EVERYWHERE),
    "no standard output": Trouble(_named("out"), out="closed", takes=_EVERYWHERE),
}
MOUNTS = {name for name in TROUBLES if "disk" in name or "read-only" in name}
