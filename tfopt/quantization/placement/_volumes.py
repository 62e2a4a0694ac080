"""Convolutions over three axes: CONV_3D computes in float, so each plane of the output is a 2-D convolution."""

from typing import Any

import numpy as np
from keras import layers, ops

from tfopt.graph import Node
from tfopt.quantization.placement._parts import Parts


def conv_3d(part: Parts, node: Node, x: Any) -> Any:
    """A 3-D convolution as one in 2-D that reads the planes under its kernel as channels; it rounds once, as a whole.

    None where a size is open, channels come first or fall in groups.
    """
    layer, (_, depth, height, width, channels) = node.op, x.shape
    if None in (depth, height, width) or layer.data_format == "channels_first" or layer.groups != 1:
        return None
    planes = _planes(layer, ops.reshape(x, (-1, depth, height * width, channels)))
    steps, channels = planes.shape[1], planes.shape[3]
    kernel, *bias = layer.get_weights()
    convolution = part(
        "",
        layers.Conv2D,
        layer.filters,
        layer.kernel_size[1:],
        strides=layer.strides[1:],
        padding=layer.padding,
        dilation_rate=layer.dilation_rate[1:],
        activation=layer.activation,
        use_bias=layer.use_bias,
        kernel_regularizer=layer.kernel_regularizer,
        bias_regularizer=layer.bias_regularizer,
        bias_constraint=layer.bias_constraint,
    )
    convolution.trainable = layer.trainable
    y = convolution(ops.reshape(planes, (-1, height, width, channels)))
    flat = np.transpose(kernel, (1, 2, 0, 3, 4)).reshape(*kernel.shape[1:3], channels, -1)
    convolution.set_weights([flat, *bias])
    return ops.reshape(y, (-1, steps, *y.shape[1:]))


def _planes(layer: Any, x: Any) -> Any:
    """For each plane of the output, those of the input under the kernel, their channels side by side.

    Args:
        layer: the convolution.
        x: (samples, depth, places, channels): TFLite Micro moves parts of four axes at most.
    """
    size, stride, dilation = (getattr(layer, name)[0] for name in ("kernel_size", "strides", "dilation_rate"))
    reach = dilation * (size - 1) + 1
    if layer.padding == "same":
        missing = max(0, (-(-x.shape[1] // stride) - 1) * stride + reach - x.shape[1])
        x = ops.pad(x, ((0, 0), (missing // 2, missing - missing // 2), (0, 0), (0, 0)))
    last = x.shape[1] - reach + 1
    parts = [x[:, at : at + last : stride] for at in range(0, reach, dilation)]
    return ops.concatenate(parts, axis=-1) if len(parts) > 1 else parts[0]
