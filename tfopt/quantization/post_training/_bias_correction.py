"""Bias correction: the mean error of each channel is taken out where it arises."""

from typing import TypeGuard

import keras
import numpy as np

from tfopt.graph import Node, folds_into
from tfopt.quantization.post_training._layerwise import Visit


def mean_error(outputs: np.ndarray, exact: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """The mean of `outputs - exact` over all axes along which a bias is the same: what it can mend.

    Args:
        outputs: what the quantized layer gives, channels last.
        exact: what the float layer gives.
        shape: that of the bias, which broadcasts with the outputs.

    Returns:
        float64 array of that shape.

    >>> import numpy as np
    >>> from tfopt.quantization.post_training._bias_correction import mean_error
    >>> mean_error(np.array([[1.0, 2.0], [3.0, 2.0]]), np.array([[1.0, 1.0], [2.0, 1.0]]), (2,)).tolist()
    [0.5, 1.0]
    """
    error = outputs.astype("float64") - exact
    aligned = (1,) * (error.ndim - len(shape)) + shape
    alike = tuple(axis for axis, size in enumerate(aligned) if size == 1)
    return np.mean(error, axis=alike, keepdims=True).reshape(shape)


def correct_bias(visit: Visit) -> str:
    """Takes the mean error of a layer's outputs, before its activation, out of its bias.

    `b <- b - (E[y] - E[y_float])` over the calibration data (Nagel et al. 2019, arXiv 1906.04721, section 4.2, the
    empirical form). A layer without a bias has it added to the moving mean of its batch norm instead.

    Args:
        visit: the layer, of which earlier layers are corrected already.

    Returns:
        What was done, or why nothing, in words.
    """
    layer, follower = visit.node.op, visit.follower
    if visit.is_shared:
        return "bias not corrected: it is called more than once"
    bias = getattr(layer, "bias", None)  # a PReLU has no such attribute
    mended = follower.op.moving_mean if bias is None and _folds(follower, visit.node) else bias
    if mended is None:
        return "bias not corrected: it has none"
    outputs = _linear(layer.to_inference(), visit.inputs), _linear(visit.exact, visit.exact_inputs)
    error = mean_error(*outputs, tuple(mended.shape))
    mended.assign(np.asarray(mended, "float64") + (-error if mended is bias else error))
    return "bias corrected"


def _folds(follower: Node | None, node: Node) -> TypeGuard[Node]:
    return follower is not None and folds_into(follower, node)


def _linear(layer: keras.layers.Layer, x: np.ndarray) -> np.ndarray:
    """The layer's outputs before its activation."""
    activation, layer.activation = layer.activation, keras.activations.linear
    try:
        return keras.ops.convert_to_numpy(layer(x))
    finally:
        layer.activation = activation
