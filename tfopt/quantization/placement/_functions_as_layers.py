"""Functions of `keras.ops` that a layer of Keras is too: products with a constant, convolutions, pooling."""

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
from keras import layers


def _constants(node: Any, number: int) -> list[np.ndarray] | None:
    """The arguments behind the first, which must be the node's only tensor; None if they are not so many numbers."""
    first, *others = node.args
    if not isinstance(first, keras.KerasTensor) or len(node.inputs) != 1 or len(others) != number:
        return None
    return [np.asarray(keras.ops.convert_to_numpy(one), "float32") for one in others]


def _with_kernel(layer: layers.Layer, x: Any, kernel: np.ndarray) -> Any:
    """The layer with this kernel called on `x`."""
    if not layer.built:
        layer.build(x.shape)
        layer.set_weights([kernel])
    return layer(x)


def _matmul(part: Any, node: Any, *tensors: Any) -> Any:
    """A product with a constant matrix is a Dense without a bias."""
    found = _constants(node, 1)
    if found is None or found[0].ndim != 2:
        return None
    return _with_kernel(part("", layers.Dense, found[0].shape[1], use_bias=False), tensors[0], found[0])


def _einsum(part: Any, node: Any, *tensors: Any) -> Any:
    """An einsum with a constant is an EinsumDense without a bias."""
    found, equation = _constants(node, 1), node.op.subscripts
    if found is None or "..." in equation:
        return None
    layer = part("", layers.EinsumDense, equation, tuple(node.output.shape[1:]))
    return _with_kernel(layer, tensors[0], found[0])


# Sums of more numbers stay float: their matrix would take over 64 kB.
_MOST_SUMMED = 256


def _cumsum(part: Any, node: Any, x: Any) -> Any:
    """Sums of all numbers up to each, as a product with a matrix of ones on and above its diagonal."""
    axis, size = node.op.axis, None if node.op.axis is None else x.shape[node.op.axis]
    if (
        axis is None
        or axis % len(x.shape) == 0
        or size is None
        or size > _MOST_SUMMED
        or "float" not in x.dtype
    ):
        return None
    sums = part("", layers.Dense, size, use_bias=False)
    sums.trainable = False
    moved = keras.ops.swapaxes(x, axis, -1) if axis % len(x.shape) != len(x.shape) - 1 else x
    y = _with_kernel(sums, moved, np.triu(np.ones((size, size), "float32")))
    return y if moved is x else keras.ops.swapaxes(y, axis, -1)


# Axes of the kernel of a convolution -> the layer.
_CONVOLUTIONS = {3: layers.Conv1D, 4: layers.Conv2D}
_DEPTHWISE = {3: layers.DepthwiseConv1D, 4: layers.DepthwiseConv2D}


def _convolution(depthwise: bool) -> Callable[..., Any]:
    """A convolution with a constant kernel."""

    def convolve(part: Any, node: Any, *tensors: Any) -> Any:
        found = _constants(node, 1)
        layer = (_DEPTHWISE if depthwise else _CONVOLUTIONS).get(found[0].ndim) if found else None
        if found is None or layer is None or node.op.data_format == "channels_first":
            return None
        kernel = found[0]
        settings = {
            "strides": node.op.strides,
            "padding": node.op.padding,
            "dilation_rate": node.op.dilation_rate,
            "use_bias": False,
        }
        size = kernel.shape[:-2]
        if depthwise:
            made = part("", layer, size, depth_multiplier=kernel.shape[-1], **settings)
        else:
            if kernel.shape[-2] != tensors[0].shape[-1]:
                settings["groups"] = tensors[0].shape[-1] // kernel.shape[-2]
            made = part("", layer, kernel.shape[-1], size, **settings)
        return _with_kernel(made, tensors[0], kernel)

    return convolve


def _pool(*by_axes: type[layers.Layer]) -> Callable[..., Any]:
    """A pooling, by the number of its axes."""

    def pool(part: Any, node: Any, x: Any) -> Any:
        axes = len(x.shape) - 2
        if node.op.data_format == "channels_first" or axes > len(by_axes):
            return None
        return part(
            "", by_axes[axes - 1], node.op.pool_size, strides=node.op.strides, padding=node.op.padding
        )(x)

    return pool


# Kind of operation -> the layer that it becomes.
FUNCTIONS: dict[str, Callable[..., Any]] = {
    "AveragePool": _pool(layers.AveragePooling1D, layers.AveragePooling2D),
    "Cumsum": _cumsum,
    "Conv": _convolution(depthwise=False),
    "DepthwiseConv": _convolution(depthwise=True),
    "Einsum": _einsum,
    "Matmul": _matmul,
    "MaxPool": _pool(layers.MaxPooling1D, layers.MaxPooling2D),
}
