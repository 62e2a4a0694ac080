"""`tfopt.quantize`: `quantization.quantize`, with accuracy control."""

import functools
from collections.abc import Callable
from typing import Any, ParamSpec, TypeVar

from tfopt import quantization

P = ParamSpec("P")
R = TypeVar("R")


def _control(*args: Any) -> Any:
    # Imported here: few models are quantized with a largest drop.
    from tfopt.analysis import control_accuracy

    return control_accuracy(*args)


def _controlled(function: Callable[P, R]) -> Callable[P, R]:
    """The function with accuracy control: the package `quantization` may not import `analysis`."""

    @functools.wraps(function)
    def controlled(*args: P.args, **kwargs: P.kwargs) -> R:
        kwargs.setdefault("control", _control)
        return function(*args, **kwargs)

    controlled.__module__ = __name__  # where pickle finds it
    return controlled


quantize = _controlled(quantization.quantize)
