"""Operations that are one multiplication and one addition per channel, which a convolution can do or absorb."""

from typing import Any

import keras
import numpy as np

from tfopt._float32 import exactly, float32
from tfopt._host_ops import on_host, ops
from tfopt.graph._graph import Node, Tensor
from tfopt.graph._kinds import kind

_ARITHMETIC = ("Add", "Subtract", "Multiply", "Divide", "TrueDivide")


def affine_of(node: Node) -> tuple[np.ndarray, np.ndarray] | None:
    """`(factor, offset)` per channel if the node computes `x * factor + offset` over the last axis in inference.

    Batch norm: `factor = gamma / sqrt(variance + epsilon)`, `offset = beta - mean * factor` (Ioffe & Szegedy 2015,
    arXiv 1502.03167). Also `Rescaling`, `Normalization` over the last axis, and `+ - * /` with a constant.

    Args:
        node: a node of a captured graph.

    Returns:
        Two arrays of shape (channels,), or None for other operations.

    >>> import keras
    >>> from tfopt.graph import affine_of, capture
    >>> inputs = keras.Input((2,))
    >>> (node,) = capture(keras.Model(inputs, keras.layers.Rescaling(0.5, 1.0)(inputs))).nodes
    >>> affine_of(node)
    (array([0.5, 0.5]), array([1., 1.]))
    """
    name = kind(node.op)
    if node.opaque or len(node.inputs) != 1 or isinstance(node.outputs, (list, tuple, dict)):
        return None
    shape = node.output.shape
    channels = shape[-1] if len(shape) > 1 else None
    if channels is None:
        return None
    pair = None
    if name == "BatchNormalization" and node.op.axis in (-1, len(shape) - 1):
        pair = _batch_norm(node.op)
    elif name == "Rescaling":
        pair = np.asarray(node.op.scale, "float64"), np.asarray(node.op.offset, "float64")
    elif name == "LayerScale":  # of keras.applications' ConvNeXt
        pair = _numbers(node.op.gamma), np.zeros(())
    elif name == "ScaleShift":
        gamma, beta = ([1.0] if one is None else one for one in (node.op.gamma, node.op.beta))
        pair = _numbers(gamma), np.zeros(()) if node.op.beta is None else _numbers(beta)
    elif name == "Normalization" and not node.op.invert:
        deviation = np.maximum(np.sqrt(_numbers(node.op.variance)), keras.config.epsilon())
        pair = 1.0 / deviation, -_numbers(node.op.mean) / deviation
    elif name in _ARITHMETIC and len(node.args) == 2 and node.inputs[0].shape == shape:
        pair = _constant_arithmetic(name, *node.args)
    return None if pair is None else _per_channel(pair, channels)


def fold_factor(norm: keras.layers.BatchNormalization) -> Any:
    """What a batch norm multiplies each channel with in inference: `gamma / sqrt(variance + epsilon)`.

    Args:
        norm: a built layer.

    Returns:
        A float32 tensor (channels,), the same bits on the host and inside a traced function.

    >>> import keras, numpy as np
    >>> from tfopt.graph import fold_factor
    >>> norm = keras.layers.BatchNormalization(epsilon=3.0)
    >>> norm.build((None, 2))
    >>> np.array(fold_factor(norm)).tolist()
    [0.5, 0.5]
    """
    deviation = exactly(ops.sqrt(exactly(float32(norm.moving_variance) + norm.epsilon)))
    if norm.scale:
        return exactly(float32(norm.gamma) / deviation)
    # TensorFlow's graphs compute 1 / x as a reciprocal, which may differ in the last bit; this form is a true division.
    return exactly(2.0 / deviation) * 0.5


def _batch_norm(layer: keras.layers.BatchNormalization) -> tuple[np.ndarray, np.ndarray]:
    with on_host():
        factor = _numbers(fold_factor(layer), "float32")
    offset = -_numbers(layer.moving_mean, "float32") * factor
    return factor, offset + _numbers(layer.beta, "float32") if layer.center else offset


def _constant_arithmetic(name: str, left: Any, right: Any) -> tuple[np.ndarray, np.ndarray] | None:
    """`x + c`, `c - x` and so on; None for `c / x`, which is not affine."""
    constant = _numbers(right if isinstance(left, Tensor) else left)
    one, zero = np.ones(()), np.zeros(())
    if name == "Add":
        return one, constant
    if name == "Subtract":
        return (one, -constant) if isinstance(left, Tensor) else (-one, constant)
    if name == "Multiply":
        return constant, zero
    return (1.0 / constant, zero) if isinstance(left, Tensor) else None


def _numbers(value: Any, dtype: str = "float64") -> np.ndarray:
    return np.asarray(keras.ops.convert_to_numpy(value), dtype)


def _per_channel(pair: tuple[np.ndarray, np.ndarray], channels: int) -> tuple[np.ndarray, np.ndarray] | None:
    """Both arrays as (channels,), if they vary along the last axis only."""
    if any(array.size not in (1, array.shape[-1] if array.ndim else 1) for array in pair):
        return None
    if any(array.size not in (1, channels) for array in pair):
        return None
    factor, offset = (np.broadcast_to(array.reshape(-1), (channels,)).copy() for array in pair)
    return factor, offset
