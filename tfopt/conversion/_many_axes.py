"""Lowering of what has many axes, as windows of an image or heads of an attention: NPUs know four.

Of five, kernels move some. Vela 5.2 crashes where it adds or multiplies what was taken out of five axes.
"""

import math
from collections.abc import Sequence
from typing import Any

import keras
from keras import ops

from tfopt.graph import Expansion, Node, inline, kind

_FEW_AXES = 4


def merge_axes(node: Node) -> Expansion | None:
    """A transposition in which axes that stay beside each other are one."""
    order = getattr(node.op, "axes", None)
    if kind(node.op) != "Transpose" or node.opaque or not order:
        return None
    shape = node.inputs[0].shape
    runs: list[list[int]] = []
    for axis in order:
        if runs and runs[-1][-1] + 1 == axis:
            runs[-1].append(axis)
        else:
            runs.append([axis])
    if len(shape) <= _FEW_AXES or len(runs) == len(shape) or None in shape[1:]:
        return None
    merged = sorted(runs)

    def moved(x: keras.KerasTensor) -> keras.KerasTensor:
        sizes = [-1 if 0 in run else math.prod(shape[axis] for axis in run) for run in merged]
        y = ops.transpose(ops.reshape(x, sizes), [merged.index(run) for run in runs])
        return ops.reshape(y, [-1 if axis == 0 else shape[axis] for axis in order])

    return inline(node, moved)


def merge_around(node: Node) -> Expansion | None:
    """What is taken along one of many axes, with those before it as one, and those behind it."""
    shape = node.inputs[0].shape if node.inputs and not node.opaque else ()
    axis, place = _taken_along(node, len(shape))
    if axis is None or len(shape) <= _FEW_AXES or shape.count(None) > 1 or shape[axis] is None:
        return None

    def taken(x: keras.KerasTensor) -> Any:
        before = [_product(shape[:axis])] if axis else []
        y = ops.reshape(x, [*before, shape[axis], _product(shape[axis + 1 :])])
        sizes = [-1 if size is None else size for size in (*shape[:axis], *shape[axis + 1 :])]
        if place is None:
            return [ops.reshape(one, sizes) for one in ops.unstack(y, axis=len(before))]
        return ops.reshape(y[:, place] if before else y[place], sizes)

    return inline(node, taken)


def _taken_along(node: Node, rank: int) -> tuple[int | None, int | None]:
    """The axis along which a node takes a tensor apart, and the one place of it that it takes, or None for all.

    No axis for all other nodes.
    """
    if kind(node.op) == "Unstack" and rank:
        return node.op.axis % rank, None
    if kind(node.op) != "GetItem" or not rank:
        return None, None
    key = node.args[1] if len(node.args) > 1 else node.kwargs.get("key")
    *before, place = key if isinstance(key, tuple) and key else (key,)
    is_one = isinstance(place, int) and all(one == slice(None) for one in before)
    return (len(before), place) if is_one else (None, None)


def _product(sizes: Sequence[int | None]) -> int:
    """How many numbers; -1 where one of the sizes is open."""
    return -1 if None in sizes else math.prod(size for size in sizes if size is not None)
