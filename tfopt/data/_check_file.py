"""Files from outside are looked at before they are unpacked."""

import zipfile
from pathlib import Path

from tfopt._text import printable
from tfopt.data._memory import allowed, most_of

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
        there = "a folder, a device or a pipe" if Path(path).exists() else ""
        raise ValueError(
            f"{what} must name {kind}. "
            + (f"Got {path!r}, which is {there}." if there else f"There is no file {path!r}.")
        )
    size = Path(path).stat().st_size
    if zipfile.is_zipfile(path):
        try:
            with zipfile.ZipFile(path) as archive:
                size = sum(entry.file_size for entry in archive.infolist())
        except (
            Exception
        ) as error:  # why all: also NotImplementedError for another version, OSError, struct.error
            raise ValueError(f"{what} must name {kind}. {path!r} cannot be read: {reason(error)}") from error
    check_size(size, path, f"{what} must name {kind}", Path(path).stat().st_size)


def check_size(size: int, path: str, sentence: str, stored: int = 0) -> None:
    """Raises if something takes more memory than is sensible.

    Args:
        size: bytes.
        path: what is read.
        sentence: the message's beginning, as "The '--data' flag must name a CSV file".
        stored: bytes that it takes on disk, if they may be few for what they unpack to; 0 where they are as many.

    Raises:
        ValueError: it does.
    """
    most = most_of(stored) if stored else allowed()
    if size > most:
        raise ValueError(
            f"{sentence} that unpacks to {_bytes(most)} at most{' for its size' if most < allowed() else ''}. Got "
            f"{path!r} with {_bytes(size)}. Take a part of it, or, if you trust it, allow more with --max_memory."
        )


def _bytes(size: int) -> str:
    return f"{size / 2**30:.1f} GiB" if size >= 1 << 30 else f"{size / 2**20:.3g} MiB"


def reason(error: BaseException) -> str:
    r"""The first line of what went wrong, without letters that would do something to a terminal.

    >>> print(reason(ValueError("no\x1b[2J\nmore")), reason(EOFError()))
    no\x1b[2J EOFError
    """
    lines = str(error).strip().splitlines()
    text = printable(lines[0]) if lines else type(error).__name__
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]} ..."
