"""Files are written whole or not at all."""

import contextlib
import os
import re
import secrets
import stat
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

# A temporary file that is older was left by a process that was killed, in seconds.
_LEFTOVER = 3600.0
# Its name: that of the file, and random letters.
_TEMPORARY = re.compile(r"\.(.+)\.[0-9a-f]{16}", flags=re.S)


def check_parent(path: str | os.PathLike, argument: str) -> Path:
    """The path, if a file can be written there: to be checked before the long work and not after it.

    Args:
        path: where a file is to be written.
        argument: its name in error messages.

    Returns:
        `path` as a `Path`.

    Raises:
        TypeError: `path` is no path.
        ValueError: the folder does not exist or may not be written to, or `path` is a folder or a device.
    """
    if not isinstance(path, (str, os.PathLike)):
        raise TypeError(
            f"The '{argument}' argument must be a path. Got {path!r} instead. Pass one such as 'model.tflite'."
        )
    path = Path(path)
    parent = Path(os.path.realpath(path)).parent
    if not parent.is_dir():
        raise ValueError(
            f"The '{argument}' argument must name a file in a folder that exists. Got {str(path)!r}, but there is no "
            f"folder {str(parent if path.is_symlink() else path.parent)!r}. Create it first, for example with "
            "os.makedirs."
        )
    if path.is_dir():
        raise ValueError(
            f"The '{argument}' argument must name a file. Got the folder {str(path)!r} instead. "
            f"Add a file name, such as {str(path / 'model.tflite')!r}."
        )
    if path.exists() and not path.is_file():
        raise ValueError(
            f"The '{argument}' argument must name a file. Got the device or pipe {str(path)!r} instead, which cannot "
            "be replaced in one step. Write to a file, and copy it."
        )
    if not os.access(parent, os.W_OK | os.X_OK):
        raise ValueError(
            f"The '{argument}' argument must name a file in a folder that you may write to. Got {str(path)!r}. Choose "
            "another folder, or change its permissions."
        )
    return path


def is_same_file(first: str | os.PathLike, second: str | os.PathLike) -> bool:
    """Whether two paths lead to one file that exists.

    >>> from tfopt._files import is_same_file
    >>> is_same_file("no such file", "no such file")
    False
    """
    with contextlib.suppress(OSError):
        return os.path.samefile(first, second)
    return False


@contextlib.contextmanager
def naming(path: str | os.PathLike) -> Iterator[None]:
    """While a library writes a file: an error that knows no file, as on a full disk, names this one.

    >>> from tfopt._files import naming
    >>> with naming("net.keras"):
    ...     raise OSError(28, "No space left on device")
    Traceback (most recent call last):
    ...
    OSError: [Errno 28] No space left on device: 'net.keras'
    """
    try:
        yield
    except OSError as error:
        if error.errno and not error.filename:
            raise OSError(error.errno, error.strerror, str(path)) from error
        raise


def write_whole(path: str | os.PathLike, content: bytes) -> None:
    """Writes a file so that a reader sees the old content or the new, but never a part of it.

    The bytes go to a temporary file in the same folder, which then takes the name in one step. A symbolic link stays
    one, and a file that is replaced keeps its permissions.

    Args:
        path: the file to create or replace.
        content: all of its bytes.

    >>> import os, tempfile
    >>> from tfopt._files import write_whole
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     write_whole(os.path.join(folder, "a"), b"whole")
    ...     os.listdir(folder)
    ['a']
    """
    write_together({path: content})


def write_together(contents: Mapping[str | os.PathLike, bytes]) -> None:
    """Writes files that belong together as `write_whole` does: the first takes its name when all are on the disk.

    Args:
        contents: files to create or replace, and all of their bytes.

    >>> import os, tempfile
    >>> from tfopt._files import write_together
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     write_together({os.path.join(folder, name): b"whole" for name in "ab"})
    ...     sorted(os.listdir(folder))
    ['a', 'b']
    """
    temporaries: dict[Path, Path] = {}
    try:
        for name, content in contents.items():
            path = Path(os.path.realpath(name))
            _remove_leftovers(path)
            temporary = path.with_name(f".{path.name[:200]}.{secrets.token_hex(8)}")
            temporaries[temporary] = path
            _write(temporary, path, content)
        for temporary, path in temporaries.items():
            os.replace(temporary, path)
    except BaseException:
        for temporary in temporaries:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(temporary)
        raise


def _write(temporary: Path, path: Path, content: bytes) -> None:
    """Writes a file that is to take the place of another, with its permissions; errors name that one."""
    try:
        # Of a new file: what the user's umask leaves of this.
        handle = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0), 0o666)
        with os.fdopen(handle, "wb") as stream:
            stream.write(content)
            stream.flush()
            os.fsync(stream.fileno())
        with contextlib.suppress(FileNotFoundError):
            os.chmod(temporary, stat.S_IMODE(path.stat().st_mode))
    except OSError as error:
        raise OSError(error.errno, error.strerror, str(path)) from error


def remove_leftovers(folder: Path) -> None:
    """Removes what writers of any file in a folder left behind that were killed; nobody else may write there now."""
    for old in folder.iterdir():
        if _TEMPORARY.fullmatch(old.name):
            old.unlink()


def _remove_leftovers(path: Path) -> None:
    """Removes what writers of this file left behind that were killed."""
    for old in path.parent.iterdir():
        found = _TEMPORARY.fullmatch(old.name)
        if found and found[1] == path.name[:200]:
            with contextlib.suppress(OSError):
                if time.time() - old.stat().st_mtime > _LEFTOVER:
                    old.unlink()
