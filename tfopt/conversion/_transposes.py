"""Lowering of transpositions of many axes, as of windows of an image: kernels move five at most, and NPUs four."""

import math

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
