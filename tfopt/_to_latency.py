"""`tfopt.shrink` and `tfopt.factorize`: those of their packages, with latency measured on the int8 file."""

import functools
from collections.abc import Callable
from typing import ParamSpec, TypeVar

from tfopt import factorization, shrinking
from tfopt._int8_latency import int8_latency

P = ParamSpec("P")
R = TypeVar("R")


def _measuring(function: Callable[P, R]) -> Callable[P, R]:
    """The function with `int8_latency` as its `latency_of`: neither package may import conversion."""

    @functools.wraps(function)
    def measuring(*args: P.args, **kwargs: P.kwargs) -> R:
        kwargs.setdefault("latency_of", int8_latency)
        return function(*args, **kwargs)

    return measuring


shrink = _measuring(shrinking.shrink)
factorize = _measuring(factorization.factorize)
