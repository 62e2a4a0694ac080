"""A progress bar on the terminal's error stream; it writes nothing to a log file or in a test."""

import contextlib
from collections.abc import Callable, Iterator


@contextlib.contextmanager
def progress(title: str, total: int) -> Iterator[Callable[[int], None]]:
    """A bar while the `with` block runs; call the function that it yields with the number of steps just done.

    It goes to stderr, disappears when done, and is silent where stderr is not a terminal, so that output piped into a
    file holds only the report.

    >>> with progress("Counting", total=3) as advance:
    ...     for _ in range(3):
    ...         advance(1)
    """
    from rich.console import Console
    from rich.progress import Progress

    console = Console(stderr=True)
    with Progress(console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task(title, total=total)
        yield lambda done: bar.advance(task, done)
