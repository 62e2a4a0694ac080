"""Bias correction: the mean error of each channel is taken out where it arises."""

import keras
import numpy as np

from tfopt.graph import folds_into
from tfopt.quantization.post_training._layerwise import Visit


def mean_error(outputs: np.ndarray, exact: np.ndarray) -> np.ndarray:
    """The mean of `outputs - exact` over all axes but the last: what a bias can mend.

    Args:
        outputs: what the quantized layer gives, channels last.
        exact: what the float layer gives.

    Returns:
        float64 array of shape (channels,).

    >>> import numpy as np
    >>> from tfopt.quantization.post_training._bias_correction import mean_error
    >>> mean_error(np.array([[1.0, 2.0], [3.0, 2.0]]), np.array([[1.0, 1.0], [2.0, 1.0]])).tolist()
    [0.5, 1.0]
    """
    return np.mean(outputs.astype("float64") - exact, axis=tuple(range(outputs.ndim - 1)))


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
    has_norm = follower is not None and folds_into(follower, visit.node)
    if not layer.use_bias and not has_norm:
        return "bias not corrected: it has none"
    error = mean_error(_linear(layer.to_inference(), visit.inputs), _linear(visit.exact, visit.exact_inputs))
    if layer.use_bias:
        layer.bias.assign(np.asarray(layer.bias, "float64") - error)
    elif follower is not None:
        mean = follower.op.moving_mean
        mean.assign(np.asarray(mean, "float64") + error)
    return "bias corrected"


def _linear(layer: keras.layers.Layer, x: np.ndarray) -> np.ndarray:
    """The layer's outputs before its activation."""
    activation, layer.activation = layer.activation, keras.activations.linear
    try:
        return keras.ops.convert_to_numpy(layer(x))
    finally:
        layer.activation = activation
