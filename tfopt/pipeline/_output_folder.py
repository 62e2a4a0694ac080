"""A folder of results that is there whole or not at all."""

import contextlib
import ctypes
import fcntl
import os
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path

from tfopt._files import remove_leftovers

# What a folder of results holds; a folder with anything else is not replaced.
FILES = ("model.keras", "model.tflite", "recipe.yaml", "report.html", "report.json", "report.md")

# Of Linux: <fcntl.h>, <linux/fs.h>.
_HERE, _RENAME_EXCHANGE = -100, 2


def check_output_folder(path: Path, overwrite: bool, files: Sequence[str] = FILES) -> None:
    """Raises unless results may be written to a folder: before the long work and not after it.

    Args:
        path: the folder; it need not exist.
        overwrite: whether older results in it may be replaced.
        files: the names of results.

    Raises:
        ValueError: it is a file or below one, holds something, or may not be written to.
    """
    if path.exists() and not path.is_dir():
        raise ValueError(f"The output must be a folder. Got the file {str(path)!r} instead.")
    held = sorted(entry.name for entry in path.iterdir()) if path.is_dir() else []
    others = [name for name in held if name not in files]
    if held and not overwrite:
        raise ValueError(
            f"The output folder must be empty, or new. Got {str(path)!r} with {', '.join(held[:3])}"
            f"{' and more' if len(held) > 3 else ''}. Choose another, or pass overwrite=True (--overwrite)."
        )
    if others:
        raise ValueError(
            f"The output folder must hold nothing but older results to be overwritten. Got {str(path)!r} with "
            f"{', '.join(others[:3])}. Choose another folder."
        )
    check_place(path, "The output folder")


def check_place(path: Path, name: str) -> None:
    """Raises unless a folder can be made at a path.

    Args:
        path: the folder; it need not exist, nor those above it.
        name: what error messages call it.

    Raises:
        ValueError: it is below what is not a folder, or may not be written to.
    """
    parent = next(folder for folder in path.absolute().parents if folder.exists())
    if not parent.is_dir():
        raise ValueError(
            f"{name} must be in a folder. Got {str(path)!r}, but {str(parent)!r} is not a folder."
        )
    if not os.access(parent, os.W_OK | os.X_OK):
        raise ValueError(f"{name} must be where you may write. Got {str(path)!r}, in {str(parent)!r}.")


@contextlib.contextmanager
def output_folder(path: Path, resume: bool = False) -> Iterator[Path]:
    """A folder beside the wanted one, which takes its name when the `with` block ends well.

    If the process is killed or interrupted, it stays: `resume` goes on with what is in it, and anyone else begins anew.
    Two processes do not write to one.

    Args:
        path: the wanted folder.
        resume: whether to keep what an earlier process left.

    Raises:
        ValueError: another process writes there.

    >>> import tempfile
    >>> wanted = Path(tempfile.mkdtemp()) / "out"
    >>> with output_folder(wanted) as work:
    ...     _ = (work / "report.md").write_text("whole")
    ...     wanted.exists()
    False
    >>> [file.name for file in wanted.iterdir()], len(list(wanted.parent.iterdir()))
    (['report.md'], 1)
    """
    path = Path(os.path.realpath(path))
    path.parent.mkdir(parents=True, exist_ok=True)
    work = path.with_name(f".{path.name[:200]}.unfinished")
    old = path.with_name(f".{path.name[:200]}.old")
    with _alone(work, path):
        if old.exists():  # killed behind the renames below, or between them where there is no exchange
            shutil.rmtree(old) if path.exists() else os.rename(old, path)
        if resume:
            remove_leftovers(work)
        else:
            _clear(work)
        try:
            yield work
            for file in work.iterdir():
                _sync(file)
            if path.exists() and _exchange(work, path):
                os.rename(work, old)  # which holds the old results now
            else:
                if path.exists():
                    os.rename(path, old)
                os.rename(work, path)
        except Exception:  # which would come again; after Ctrl-C one may resume
            if not resume:
                shutil.rmtree(work, ignore_errors=True)
            raise
        shutil.rmtree(old, ignore_errors=True)


@contextlib.contextmanager
def _alone(work: Path, path: Path) -> Iterator[None]:
    """Makes a folder and locks it; the system takes the lock away from a process that dies."""
    work.mkdir(exist_ok=True)
    handle = os.open(work, os.O_RDONLY)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            is_ours = work.exists() and os.path.samestat(os.fstat(handle), work.stat())
        except BlockingIOError:
            is_ours = False
        if not is_ours:  # it is another process's, or was, and has just taken its name
            raise ValueError(
                f"Another process writes to {str(path)!r}. Wait for it, or choose another folder."
            )
        yield
    finally:
        os.close(handle)


def _exchange(first: Path, second: Path) -> bool:
    """Lets two folders change their names in one step, at no moment of which either is missing; False if it cannot."""
    try:
        renameat2 = ctypes.CDLL(None).renameat2
    except (OSError, AttributeError):  # not Linux
        return False
    return renameat2(_HERE, os.fsencode(first), _HERE, os.fsencode(second), _RENAME_EXCHANGE) == 0


def _clear(folder: Path) -> None:
    for entry in folder.iterdir():
        shutil.rmtree(entry) if entry.is_dir() else entry.unlink()


def _sync(file: Path) -> None:
    with open(file, "rb") as stream:
        os.fsync(stream.fileno())
