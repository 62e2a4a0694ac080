"""A progress bar on the terminal's error stream; it writes nothing to a log file or in a test."""

import contextlib
import os
import sys
import threading
from collections.abc import Callable, Iterator
from typing import TextIO

# What is over sooner gets no bar, in seconds.
_DELAY = 2.0
# A terminal has room for one at a time: what has a bar may call something that would have one.
_shown = threading.Lock()


@contextlib.contextmanager
def progress(title: str, total: int | None) -> Iterator[Callable[[int], None]]:
    """A bar while the `with` block runs; call the function that it yields with the number of steps just done.

    It goes to stderr with the time that remains, comes after two seconds, disappears when done, and is silent where
    stderr is not a terminal, so that output piped into a file holds only the report.

    Args:
        title: what is going on.
        total: how many steps there are; None where that is not known, for the time that has gone by.

    >>> with progress("Counting", total=3) as advance:
    ...     for _ in range(3):
    ...         advance(1)
    """
    from rich.console import Console

    stream = _terminal() if Console(stderr=True).is_terminal and _shown.acquire(blocking=False) else None
    if stream is None:
        yield lambda done: None
        return
    from rich import progress as rich

    console = Console(file=stream, force_terminal=True)
    time = rich.TimeElapsedColumn() if total is None else rich.TimeRemainingColumn()
    columns = (rich.TextColumn("{task.description}"), rich.BarColumn(), rich.TaskProgressColumn(), time)
    # Streams stay as they are: the timer may start the bar while somebody else has them replaced.
    bar = rich.Progress(
        *columns, console=console, transient=True, redirect_stdout=False, redirect_stderr=False
    )
    task = bar.add_task(title, total=total)
    timer = threading.Timer(_DELAY, bar.start)
    timer.daemon = True
    timer.start()
    try:
        yield lambda done: bar.advance(task, done)
    finally:
        timer.cancel()
        timer.join()  # it may be starting the bar just now
        if bar.live.is_started:
            bar.stop()
        stream.close()
        _shown.release()


def _terminal() -> TextIO | None:
    """The error stream, also while its file descriptor is another one's (`quiet`); None where it has none."""
    try:
        descriptor = os.dup(sys.stderr.fileno())
    except (OSError, AttributeError):  # a notebook's, or a test's
        _shown.release()
        return None
    return os.fdopen(descriptor, "w", encoding=sys.stderr.encoding, errors="backslashreplace")
