"""Suppresses what C++ libraries print to the terminal."""

import contextlib
import os
import sys
import tempfile
import threading
from collections.abc import Iterator

_one_at_a_time = threading.RLock()


@contextlib.contextmanager
def quiet(*descriptors: int) -> Iterator[list[str]]:
    """Captures what is written to file descriptors, such as 1 and 2, without `sys.stdout` and `sys.stderr`.

    Python's exceptions are raised as usual. A descriptor that does not exist, as under pythonw, is ignored. One thread
    at a time: a second one would take the first one's file for the terminal, and give that back.

    Args:
        *descriptors: their numbers.

    Yields:
        A list that afterwards holds the lines.

    >>> import os
    >>> from tfopt._quiet import quiet
    >>> with quiet(2) as log:
    ...     _ = os.write(2, b"from a library")
    >>> log
    ['from a library']
    """
    log: list[str] = []
    with _one_at_a_time, tempfile.TemporaryFile("w+", errors="replace") as stream:
        kept = []
        try:
            for number in descriptors:
                with contextlib.suppress(AttributeError, OSError, ValueError):
                    (sys.stdout if number == 1 else sys.stderr).flush()
                    kept.append((number, os.dup(number)))
                    os.dup2(stream.fileno(), number)
            yield log
        finally:
            for number, copy in kept:
                os.dup2(copy, number)
                os.close(copy)
            stream.seek(0)
            log.extend(stream.read().splitlines())
