"""Softmax over what a mask leaves, in 16-bit integers."""

from typing import Any

import keras
import numpy as np
from keras import ops

from tfopt.graph import Node
from tfopt.kernels import LEFT_OUT, AddMask, FixedRange
from tfopt.quantization.placement._parts import Parts

# The grid of a softmax of 8 bits.
_SHARES = (0.0, 255 / 256)


def masked_softmax(part: Parts, node: Node, *tensors: Any) -> Any:
    """`softmax` of the scores that a mask keeps, 0 elsewhere; None without a mask, and where it is made of floats."""
    axis = getattr(node.op, "axis", -1)
    axis = axis[0] if isinstance(axis, (list, tuple)) and len(axis) == 1 else axis
    mask = node.kwargs.get("mask", node.args[1] if len(node.args) > 1 else None)
    is_last = axis in (-1, len(node.inputs[0].shape) - 1)
    if mask is None or not is_last or not part.can_widen:
        return None
    if "float" in keras.backend.standardize_dtype(mask.dtype):
        return None
    if len(tensors) == 1:
        return _shares(part, tensors[0], np.where(ops.convert_to_numpy(mask) > 0, 0.0, LEFT_OUT), None)
    if part.num_bits != 8:  # no 16-bit kernel chooses between numbers and a constant
        return None
    kept = tensors[1] if tensors[1].dtype == "bool" else ops.greater(tensors[1], 0)
    return _shares(part, tensors[0], part.widen(ops.where(kept, 0.0, LEFT_OUT), "widen_mask"), kept)


def _shares(part: Parts, scores: Any, added: Any, kept: Any) -> Any:
    """The shares of what is kept; of rows of which nothing is, 0."""
    added = added.astype("float32") if isinstance(added, np.ndarray) else added
    scores = part("mask", AddMask)(part.widen(scores), added)
    shares = part.narrow(part.activation("softmax", scores, "shares"))
    if part.num_bits == 8:
        shares = part("range", FixedRange, *_SHARES)(shares)
    if kept is None and (np.max(added, axis=-1) < 0).any():
        kept = added == 0.0
    return shares if kept is None else ops.where(kept, shares, 0.0)
