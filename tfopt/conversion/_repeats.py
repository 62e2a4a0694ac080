"""Lowering of what repeats numbers: concatenations of one tensor, for runtimes without a kernel for TILE."""

import math
from typing import Any

from keras import ops

from tfopt.graph import Expansion, Node, inline, kind


def join_repeats(node: Node) -> Expansion | None:
    """A layer or operation that repeats within samples, as one CONCATENATION for each axis."""
    make = _MAKERS.get(kind(node.op))
    if make is None or node.opaque or None in node.output.shape[1:]:
        return None
    return inline(node, lambda x: make(node.op, x))


def _repeat(op: Any, x: Any) -> Any:
    axis = None if op.axis is None else op.axis % len(x.shape)
    return _each_repeated(x, axis, op.repeats) if axis and isinstance(op.repeats, int) else None


def _repeat_vector(op: Any, x: Any) -> Any:
    return _each_repeated(ops.expand_dims(x, 1), 1, op.n)


def _up_sampling(op: Any, x: Any) -> Any:
    first = 1 if op.data_format == "channels_last" else 2
    for axis, count in enumerate(op.size, first):
        x = _each_repeated(x, axis, count)
    return x


def _tile(op: Any, x: Any) -> Any:
    repeats = (op.repeats,) if isinstance(op.repeats, int) else tuple(op.repeats)
    repeats = (1,) * (len(x.shape) - len(repeats)) + repeats
    if len(repeats) != len(x.shape) or repeats[0] != 1:
        return None
    for axis, count in enumerate(repeats):
        x = _joined(x, axis, count)
    return x


_MAKERS = {"Repeat": _repeat, "RepeatVector": _repeat_vector, "UpSampling3D": _up_sampling, "Tile": _tile}


def _each_repeated(x: Any, axis: int, count: int) -> Any:
    """Each slice along an axis so many times in a row."""
    sizes = x.shape[1:]
    block = math.prod(sizes[axis:])
    # The blocks behind the axis side by side: the rank stays small.
    wide = _joined(ops.reshape(x, (-1, math.prod(sizes) // block, block)), 2, count)
    return ops.reshape(wide, (-1, *sizes[: axis - 1], count * sizes[axis - 1], *sizes[axis:]))


def _joined(x: Any, axis: int, count: int) -> Any:
    return ops.concatenate([x] * count, axis=axis) if count > 1 else x
