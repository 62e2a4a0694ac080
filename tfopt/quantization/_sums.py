"""The step of a kernel's 32-bit sums: what its bias is rounded to."""

from typing import Any

import keras
from keras import ops


def sum_step(input_step: Any, weights: keras.layers.Layer | None, norm: keras.layers.Layer | None) -> Any:
    """`input_step * weight_step * |factor|` per output channel, `factor` being that of the folded batch norm.

    A sum of products of codes is a whole number of these steps, and so is the bias that the kernel adds to it
    (TFLite 8-bit specification).

    Args:
        input_step: scalar, the real value of one code of the kernel's input.
        weights: the layer with the kernel, of `tfopt.quantization`; None for a batch norm that stands alone, which
            is exported as a depthwise convolution with weights of 127 codes.
        norm: the batch norm that is folded into the kernel, or None.

    Returns:
        float32 tensor of shape (channels,), or a scalar.
    """
    step = ops.cast(input_step, "float32")
    step = step * (ops.reshape(weights.weight_step(), (-1,)) if weights is not None else 1.0 / 127.0)
    return step * ops.abs(_factor(norm)) if norm is not None else step


def _factor(norm: keras.layers.Layer) -> Any:
    if isinstance(norm, keras.layers.BatchNormalization):
        factor = ops.rsqrt(ops.cast(norm.moving_variance, "float32") + norm.epsilon)
        return factor * ops.cast(norm.gamma, "float32") if norm.scale else factor
    return ops.convert_to_tensor(norm.scale, "float32")
