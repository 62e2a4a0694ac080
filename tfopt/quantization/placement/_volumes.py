"""Convolutions over three axes: their operators compute in float, so planes of the output are 2-D convolutions."""

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
        dilation_rate=layer.dilation_rate[1:],
        **_of_planes(layer),
    )
    convolution.trainable = layer.trainable
    y = convolution(ops.reshape(planes, (-1, height, width, channels)))
    flat = np.transpose(kernel, (1, 2, 0, 3, 4)).reshape(*kernel.shape[1:3], channels, -1)
    convolution.set_weights([flat, *bias])
    return ops.reshape(y, (-1, steps, *y.shape[1:]))


def _of_planes(layer: Any) -> dict[str, Any]:
    """The settings of a convolution that one of its planes has too."""
    same = ("padding", "activation", "use_bias", "kernel_regularizer", "bias_regularizer", "bias_constraint")
    return {"strides": layer.strides[1:], **{name: getattr(layer, name) for name in same}}


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


def conv_3d_transpose(part: Parts, node: Node, x: Any) -> Any:
    """A transposed 3-D convolution as one in 2-D that makes `stride` planes at a time, side by side as channels.

    Plane `t` of the output is `sum_d x[d] * kernel[t - d * stride]` over the planes `d` of the input, `t` counted from
    before what padding cuts off. With `t = j * stride + r` the planes of block `j` read those from `j` back to
    `j - taps + 1`, for `taps = ceil(size / stride)`, and kernel `m * stride + r` of plane `j - m`: zeros where the
    kernel has no such plane, and zeros and the bias train for each `r`. It rounds once, as a whole.

    None where a size is open, channels come first or the kernel is dilated.
    """
    layer, (_, depth, height, width, channels) = node.op, x.shape
    if (
        None in (depth, height, width)
        or layer.data_format == "channels_first"
        or set(layer.dilation_rate) != {1}
    ):
        return None
    kernel, *bias = layer.get_weights()
    stride, steps = layer.strides[0], node.output.shape[1]
    taps = -(-layer.kernel_size[0] // stride)
    cut = max(0, (depth - 1) * stride + layer.kernel_size[0] - steps) // 2 if layer.padding == "same" else 0
    first, last = cut // stride, (cut + steps - 1) // stride
    planes = _read_backwards(ops.reshape(x, (-1, depth, height * width, channels)), first, last, taps)
    padding = None if layer.output_padding is None else layer.output_padding[1:]
    convolution = part(
        "",
        layers.Conv2DTranspose,
        layer.filters * stride,
        layer.kernel_size[1:],
        output_padding=padding,
        **_of_planes(layer),
    )
    convolution.trainable = layer.trainable
    y = convolution(ops.reshape(planes, (-1, height, width, taps * channels)))
    convolution.set_weights([_of_blocks(kernel, stride, taps), *(np.tile(one, stride) for one in bias)])
    y = _side_by_side_in_depth(y, last - first + 1, stride)
    start = cut - first * stride
    return ops.reshape(y[:, start : start + steps], (-1, *node.output.shape[1:]))


def _read_backwards(x: Any, first: int, last: int, taps: int) -> Any:
    """For each block from `first` to `last` its own plane and those before it, their channels side by side."""
    before, behind = max(0, taps - 1 - first), max(0, last + 1 - x.shape[1])
    if before or behind:
        x = ops.pad(x, ((0, 0), (before, behind), (0, 0), (0, 0)))
    parts = [x[:, before + first - tap : before + last - tap + 1] for tap in range(taps)]
    return ops.concatenate(parts, axis=-1) if taps > 1 else parts[0]


def _of_blocks(kernel: np.ndarray, stride: int, taps: int) -> np.ndarray:
    """From (depth, height, width, outputs, inputs) to (height, width, stride * outputs, taps * inputs)."""
    whole = np.pad(kernel, ((0, taps * stride - len(kernel)), *[(0, 0)] * 4))
    split = whole.reshape(taps, stride, *kernel.shape[1:])
    height, width, filters, channels = kernel.shape[1:]
    return np.transpose(split, (2, 3, 1, 4, 0, 5)).reshape(height, width, stride * filters, taps * channels)


def _side_by_side_in_depth(y: Any, blocks: int, stride: int) -> Any:
    """From (samples * blocks, height, width, stride * channels) to (samples, blocks * stride, all of a plane)."""
    height, width, channels = y.shape[1], y.shape[2], y.shape[3] // stride
    size = height * width * channels
    if stride == 1:
        return ops.reshape(y, (-1, blocks, size))
    planes = [y[..., at * channels : (at + 1) * channels] for at in range(stride)]
    joined = ops.concatenate([ops.reshape(one, (-1, blocks, 1, size)) for one in planes], axis=2)
    return ops.reshape(joined, (-1, blocks * stride, size))
