"""How much memory a file from outside may take: a small one can ask for any amount."""

import contextlib
import contextvars
import os
import sys
from collections.abc import Iterator
from pathlib import Path

# What unpacks to more than this is refused.
LARGEST = 2 << 30
# Less than so many bytes are nobody's loss; beyond, what is packed tighter than so many to one was made to do harm.
_SMALL, _RATIO = 256 << 20, 100
# Of a thread's stack; libraries start some for each processor when they are first used.
_THREAD, _THREADS = 8 << 20, 4

_given: contextvars.ContextVar[int | None] = contextvars.ContextVar(
    "memory that a file may take", default=None
)


@contextlib.contextmanager
def allow_memory(size: int) -> Iterator[None]:
    """Lets files take more memory, or less, than they may by default.

    Args:
        size: bytes; 0 for no limit.

    >>> with allow_memory(1 << 20):
    ...     allowed()
    1048576
    """
    token = _given.set(size)
    try:
        yield
    finally:
        _given.reset(token)


def allowed() -> int:
    """Bytes that a file may take."""
    given = _given.get()
    return LARGEST if given is None else given or sys.maxsize


def most_of(stored: int) -> int:
    """Bytes that a file of so many bytes may unpack to.

    >>> most_of(1_000) == 256 << 20, most_of(1 << 30) == 2 << 30
    (True, True)
    """
    return allowed() if _given.get() is not None else min(LARGEST, max(_SMALL, _RATIO * stored))


@contextlib.contextmanager
def limited_memory(path: str) -> Iterator[None]:
    """While a file is read, this process gets no more memory than the file may take, and what libraries need.

    What asks for more fails as it does where there is no more. Without a limit where the system has none (Linux has).

    Args:
        path: the file.

    >>> with limited_memory(__file__):
    ...     Path(__file__).read_bytes() != b""
    True
    """
    try:
        import resource

        lines = Path("/proc/self/status").read_text().splitlines()
    except (ImportError, OSError):  # not Linux
        yield
        return
    held = next(int(line.split()[1]) << 10 for line in lines if line.startswith("VmData"))
    before, hard = resource.getrlimit(resource.RLIMIT_DATA)
    threads = _THREADS * _THREAD * (os.cpu_count() or 1)
    # Three times: the file's bytes, the arrays made of them, and the variables.
    most = held + 3 * most_of(Path(path).stat().st_size) + threads
    if allowed() == sys.maxsize or most > sys.maxsize or (hard >= 0 and most > hard):
        yield
        return
    resource.setrlimit(resource.RLIMIT_DATA, (most, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_DATA, (before, hard))
