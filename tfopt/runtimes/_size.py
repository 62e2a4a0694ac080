"""How large a file is: on disk, and compressed for download."""

import dataclasses
import gzip
import os
from pathlib import Path


@dataclasses.dataclass(frozen=True)
class Size:
    """Raw and gzipped bytes.

    The raw size is what the flash of a device holds; the gzipped size is what an app store or an update sends,
    and the only one of the two that pruning without sparse encoding changes.

    Args:
        raw: bytes as stored.
        gzip: bytes after gzip at level 9.

    Example:

    >>> measure_size(bytes(1000))
    Size(raw=1000, gzip=29)
    """

    raw: int
    gzip: int


def measure_size(source: str | os.PathLike | bytes) -> Size:
    """Raw and gzip size in bytes, of a file or of bytes.

    Args:
        source: path of a file, or the bytes themselves.

    Raises:
        ValueError: there is no such file.

    Example:

    >>> measure_size(b"abc" * 100).raw
    300
    """
    data = read_bytes(source, "source")
    # mtime=0 because gzip writes the time into its header, and the same file must always give the same size.
    return Size(len(data), len(gzip.compress(data, compresslevel=9, mtime=0)))


def read_bytes(source: str | os.PathLike | bytes, argument: str) -> bytes:
    """The bytes of a file, or an error that says which path is missing."""
    if isinstance(source, bytes):
        return source
    if not isinstance(source, (str, os.PathLike)):
        raise TypeError(
            f"The '{argument}' argument must be a path or bytes. Got {type(source).__name__} instead. "
            "Pass the path of the file, such as 'model.tflite'."
        )
    path = Path(source)
    if not path.is_file():
        what = "a folder" if path.is_dir() else "a device or pipe" if path.exists() else "no such file"
        raise ValueError(
            f"The '{argument}' argument must be the path of a file. Got '{path}', which is {what}. "
            f"Check the path; the current folder is '{Path.cwd()}'."
        )
    return path.read_bytes()
