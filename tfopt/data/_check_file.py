"""Files from outside are looked at before they are unpacked."""

import zipfile
from pathlib import Path

from tfopt._text import printable

# What unpacks to more than this is refused: a small file can ask for any amount of memory.
LARGEST = 2 << 30
# Some libraries put the content of a file into a message.
_LONGEST = 300


def check_file(path: str, what: str, kind: str) -> None:
    """Raises unless a path is a file that unpacks to a sensible size.

    Args:
        path: the file.
        what: what names it, as "The '--data' flag".
        kind: what it must be, as "a .npz or .npy file".

    Raises:
        ValueError: there is no such file, it is a damaged archive, or it unpacks to too much.

    >>> check_file("none.npz", "The '--data' flag", "a .npz file")
    Traceback (most recent call last):
    ...
    ValueError: The '--data' flag must name a .npz file. There is no file 'none.npz'.
    """
    if not Path(path).is_file():
        raise ValueError(f"{what} must name {kind}. There is no file {path!r}.")
    size = Path(path).stat().st_size
    if zipfile.is_zipfile(path):
        try:
            with zipfile.ZipFile(path) as archive:
                size = sum(entry.file_size for entry in archive.infolist())
        except (
            Exception
        ) as error:  # why all: also NotImplementedError for another version, OSError, struct.error
            raise ValueError(f"{what} must name {kind}. {path!r} cannot be read: {reason(error)}") from error
    check_size(size, path, f"{what} must name {kind}")


def check_size(size: int, path: str, sentence: str) -> None:
    """Raises if something takes more memory than is sensible.

    Args:
        size: bytes.
        path: what is read.
        sentence: the message's beginning, as "The '--data' flag must name a CSV file".

    Raises:
        ValueError: it does.
    """
    if size > LARGEST:
        raise ValueError(
            f"{sentence} that unpacks to {LARGEST / 2**30:.3g} GiB at most. Got {path!r} with {size / 2**30:.1f} GiB. "
            "Take a part of it, or load it in Python if you trust it."
        )


def reason(error: BaseException) -> str:
    r"""The first line of what went wrong, without letters that would do something to a terminal.

    >>> print(reason(ValueError("no\x1b[2J\nmore")), reason(EOFError()))
    no\x1b[2J EOFError
    """
    lines = str(error).strip().splitlines()
    text = printable(lines[0]) if lines else type(error).__name__
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]} ..."
