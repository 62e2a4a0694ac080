"""A higher recursion limit for Keras, which needs a Python frame for each layer in a chain."""

import contextlib
import sys
from collections.abc import Iterator

# Frames that one node of the graph may need, and frames that are in use already.
_PER_NODE = 4
_BASE = 1000


@contextlib.contextmanager
def deep_recursion(nodes: int) -> Iterator[None]:
    """Lets code recurse as deeply as a graph of this many nodes needs; Python's own limit is 1,000 frames.

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
