"""Pooling over three axes: TFLite pools over two, so it is done over height and width first, over depth next."""

from typing import Any

from keras import layers, ops

from tfopt.graph import Node, kind


def pool_3d(part: Any, node: Node, x: Any) -> Any:
    """A 3-D pooling as two 2-D ones; None where a size is open or channels come first.

    A maximum of maxima is the maximum, and a mean of means of equal parts is the mean; with `padding="same"` both
    count what lies inside only, and the counts of the axes multiply.
    """
    layer, (_, depth, height, width, channels) = node.op, x.shape
    if None in (depth, height, width, channels) or layer.data_format == "channels_first":
        return None
    pool = layers.MaxPooling2D if kind(layer) == "MaxPooling3D" else layers.AveragePooling2D
    planes = ops.reshape(x, (-1, height, width, channels))
    first = part("planes", pool, layer.pool_size[1:], strides=layer.strides[1:], padding=layer.padding)(
        planes
    )
    _, height, width, _ = first.shape
    columns = ops.reshape(first, (-1, depth, height * width, channels))
    sizes = {"strides": (layer.strides[0], 1), "padding": layer.padding}
    second = part("columns", pool, (layer.pool_size[0], 1), **sizes)(columns)
    return ops.reshape(second, (-1, second.shape[1], height, width, channels))
