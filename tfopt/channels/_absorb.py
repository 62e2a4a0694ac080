"""What removed channels leave behind for a kernel that reads them, as an addition to its bias."""

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np

from tfopt.channels._walk import Reading, Walk
from tfopt.graph import Node, Operation, einsum_letters, kind

# Of the largest value: two float32 sums of the same numbers in another order.
_TOLERANCE = 1e-5


def contribution(
    readings: Sequence[Reading], axes: tuple[int, ...], walk: Walk
) -> tuple[np.ndarray | None, str]:
    """What the leftovers add to the outputs of a linear layer, if it is the same wherever its bias is the same.

    Args:
        readings: the calls of one layer.
        axes: axes of its output that its bias indexes, or would index.
        walk: the run in which the calls were made.

    Returns:
        An array of the bias' shape, or None and the reason.
    """
    op, path = readings[0].node.op, readings[0].node.path
    try:
        linear = _linear(op, readings[0].left.shape, walk)
        sums = [np.asarray(keras.ops.convert_to_numpy(linear(reading.left))) for reading in readings]
    except Exception as error:
        return None, f"{path} could not be run on what these channels leave behind: {error}"
    if not all(np.isfinite(reading.left).all() for reading in readings):
        return None, f"{path} reads infinity, or no number at all, of these channels once they are removed"
    means = []
    for reading, values in zip(readings, sums, strict=True):
        rest = tuple(axis for axis in range(values.ndim) if axis not in axes)
        kept = ~walk.mask(reading.node.output, values.shape, rest)
        kept = kept if kept.any() else np.ones_like(kept)
        values = np.where(kept, values, 0).astype("float64")
        mean = values.sum(rest, keepdims=True) / np.maximum(kept.sum(rest, keepdims=True), 1)
        if not _close(values, np.where(kept, mean, 0)):
            return (
                None,
                f"what these channels leave behind once removed differs from place to place in {path}",
            )
        means.append(mean)
    if not all(mean.shape == means[0].shape and _close(mean, means[0]) for mean in means):
        return (
            None,
            f"{path} is called several times, and what these channels leave behind differs between calls",
        )
    shape = means[0].shape[min(axes) :] if kind(op) == "EinsumDense" else (-1,)
    return means[0].reshape(shape), ""


def _close(values: np.ndarray, others: np.ndarray) -> bool:
    largest = np.abs(values).max(initial=0.0)
    return bool(np.isfinite(largest) and np.abs(values - others).max(initial=0.0) <= _TOLERANCE * largest)


def _linear(op: Operation, shape: tuple[int, ...], walk: Walk) -> Any:
    """A copy of the layer that only multiplies with its kernels."""
    config = op.get_config()
    bare = {"activation": None, "use_bias": False, "bias_axes": None}
    layer = type(op).from_config({**config, **{name: bare[name] for name in bare if name in config}})
    layer.build(shape)
    layer.set_weights([walk.dense(weight) for weight in op.weights if weight.name != "bias"])
    return layer


def with_bias(node: Node) -> dict[str, Any]:
    """The argument that gives a layer without a bias one."""
    if kind(node.op) != "EinsumDense":
        return {"use_bias": True}
    left, _, output = einsum_letters(node.op, len(node.inputs[0].shape))
    return {"bias_axes": "".join(letter for letter in output if letter not in left)}
