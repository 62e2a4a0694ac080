"""Files are written whole or not at all."""

import os
import tempfile
from pathlib import Path


def check_parent(path: str | os.PathLike, argument: str) -> Path:
    """The path, if its folder exists: to be checked before the long work and not after it.

    Args:
        path: where a file is to be written.
        argument: its name in error messages.

    Returns:
        `path` as a `Path`.

    Raises:
        ValueError: the folder does not exist, or `path` is itself a folder.
    """
    path = Path(path)
    if not path.parent.is_dir():
        raise ValueError(
            f"The '{argument}' argument must name a file in a folder that exists. Got {str(path)!r}, but there is no "
            f"folder {str(path.parent)!r}. Create it first, for example with os.makedirs."
        )
    if path.is_dir():
        raise ValueError(
            f"The '{argument}' argument must name a file. Got the folder {str(path)!r} instead. "
            f"Add a file name, such as {str(path / 'model.tflite')!r}."
        )
    return path


def write_whole(path: str | os.PathLike, content: bytes) -> None:
    """Writes a file so that a reader sees the old content or the new, but never a part of it.

    The bytes go to a temporary file in the same folder, which then takes the name in one step.

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
    path = Path(path)
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "wb") as stream:
            stream.write(content)
            stream.flush()
            os.fsync(stream.fileno())
        # mkstemp makes a file that only its owner may read; a new file gets what the user's umask says.
        umask = os.umask(0)
        os.umask(umask)
        os.chmod(temporary, 0o666 & ~umask)
        os.replace(temporary, path)
    except BaseException:
        os.unlink(temporary)
        raise
