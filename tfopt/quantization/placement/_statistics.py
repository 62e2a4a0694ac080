"""Variances, deviations, norms and roots, in 16-bit integers."""

from collections.abc import Callable
from typing import Any

from keras import ops

from tfopt.graph import Node
from tfopt.quantization.placement._normalizations import centered, over_last_axis, power
from tfopt.quantization.placement._parts import Parts


def _root(part: Parts, x: Any) -> Any:
    """`sqrt(x)` of 16-bit codes, as `x / sqrt(x)`."""
    return part.product("times_root", x, part.reciprocal_root(x))


def _reduced(part: Parts, node: Node, x: Any, function: Callable[[Any], Any]) -> Any:
    """A function of 16-bit codes over the last axis, on the axes of an operation; None where it reduces samples."""
    op = node.op
    if not part.can_widen or op.axis is None:
        return None
    axes = list(op.axis) if isinstance(op.axis, (list, tuple)) else [op.axis]
    y = over_last_axis(x, axes, lambda x: part.narrow(function(part.widen(x))))
    if y is None or op.keepdims:
        return y
    return ops.squeeze(y, [axis % len(x.shape) for axis in axes])


def _variance(part: Parts, node: Node, x: Any) -> Any:
    return _reduced(part, node, x, lambda x: power(part, centered(part, x)))


def _deviation(part: Parts, node: Node, x: Any) -> Any:
    return _reduced(part, node, x, lambda x: _root(part, power(part, centered(part, x))))


def _norm(part: Parts, node: Node, x: Any) -> Any:
    """`sqrt(sum(x**2))` of vectors, and of matrices as Frobenius has it; None for other norms."""
    if node.op.axis is None or node.op.ord not in ((None, 2) if len(node.op.axis) == 1 else (None, "fro")):
        return None
    return _reduced(part, node, x, lambda x: _root(part, power(part, x, ops.sum)))


def _square_root(part: Parts, node: Node, x: Any) -> Any:
    return part.narrow(_root(part, part.widen(x))) if part.can_widen else None


# Kind of operation -> what it comes apart into.
STATISTICS: dict[str, Callable[..., Any]] = {
    "Norm": _norm,
    "Sqrt": _square_root,
    "Std": _deviation,
    "Var": _variance,
}
