"""Runs `tfopt` in a process of its own, with the standard output that a trouble asks for."""

import os
import resource
import sys
import traceback
from pathlib import Path


def run(given: list[str], out: str, most: int) -> tuple[int, str]:
    """Runs the program; TensorFlow may be loaded here, but must not have run.

    Args:
        given: what follows `tfopt`.
        out: what standard output is: see `Trouble`.
        most: bytes that a file may have; 0 for any.

    Returns:
        The exit code, and what stood on standard error.
    """
    (out_read, out_write), (err_read, err_write) = os.pipe(), os.pipe()
    child = os.fork()
    if not child:
        code = 1
        try:
            os.close(out_read)
            os.close(err_read)
            code = _program(given, out, most, out_write, err_write)
        finally:
            os._exit(code)
    os.close(out_write)
    os.close(err_write)
    if out == "closed pipe":
        os.close(out_read)
    else:
        _all(out_read)
    said = _all(err_read)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), said.decode(errors="replace")


def _all(read: int) -> bytes:
    with os.fdopen(read, "rb") as stream:
        return stream.read()


def _program(given: list[str], out: str, most: int, out_write: int, err_write: int) -> int:
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    os.dup2(err_write, 2)
    if out == "closed":
        os.close(1)
    else:
        os.dup2(os.open("/dev/full", os.O_WRONLY) if out == "full" else out_write, 1)
    os.close(out_write)
    os.close(err_write)
    encoding = "ascii" if out == "ascii" else "utf-8"
    # As Python starts.
    sys.stdout = None if out == "closed" else open(1, "w", encoding=encoding, closefd=False)  # type: ignore[assignment] # noqa: SIM115
    sys.stderr = open(2, "w", encoding=encoding, errors="backslashreplace", buffering=1, closefd=False)  # noqa: SIM115
    if most:
        resource.setrlimit(resource.RLIMIT_FSIZE, (most, most))
    os.environ.pop("TF_CPP_MIN_LOG_LEVEL", None)
    sys.argv = ["tfopt", *given]
    from tfopt import cli

    code = 0
    try:
        cli.run()
    except SystemExit as error:
        code = int(error.code or 0)
    except BaseException:
        traceback.print_exc()
        code = 1
    try:  # as Python ends
        if sys.stdout is not None:
            sys.stdout.flush()
    except Exception as error:
        print(f"Exception ignored: {error!r}", file=sys.stderr)
        code = 120
    sys.stderr.flush()
    return code


def digest(folder: Path) -> dict[str, bytes]:
    """All files below a folder, links as what they say, by name."""
    found = {}
    for path in sorted(folder.rglob("*")):
        name = str(path.relative_to(folder))
        if path.is_symlink():
            found[name] = os.fsencode(os.readlink(path))
        elif path.is_file():
            found[name] = path.read_bytes()
        else:
            found[name] = b""
    return found
