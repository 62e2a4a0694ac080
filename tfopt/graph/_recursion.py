"""Room for Keras' own recursion: it walks a graph with a Python frame for each layer in a chain."""

import contextlib
import sys
from collections.abc import Iterator

# Frames a node of the graph may take, and those that run already.
_PER_NODE = 4
_BASE = 1000


@contextlib.contextmanager
def deep_recursion(nodes: int) -> Iterator[None]:
    """Lets code recurse as deep as a graph of so many nodes needs; Python's own limit is 1,000 frames.

    Args:
        nodes: how many operations the graph has.

    >>> import sys
    >>> from tfopt.graph import deep_recursion
    >>> with deep_recursion(nodes=5_000):
    ...     sys.getrecursionlimit() > 20_000
    True
    """
    before = sys.getrecursionlimit()
    sys.setrecursionlimit(max(before, _BASE + _PER_NODE * nodes))
    try:
        yield
    finally:
        sys.setrecursionlimit(before)
