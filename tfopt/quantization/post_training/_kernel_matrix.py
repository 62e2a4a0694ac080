"""A kernel and its inputs as matrices: every Dense layer and convolution is a product of two."""

import math

import keras
import numpy as np

from tfopt.graph import EinsumAxes, einsum_axes, kind

_DEPTHWISE = ("DepthwiseConv1D", "DepthwiseConv2D")
_CONVOLUTIONS = ("Conv1D", "Conv2D", *_DEPTHWISE)
KINDS = ("Dense", "EinsumDense", *_CONVOLUTIONS)


def is_product(layer: keras.layers.Layer) -> bool:
    """Whether a built layer is a product of two matrices."""
    return kind(layer) in KINDS and (kind(layer) != "EinsumDense" or einsum_axes(layer) is not None)


def to_matrix(layer: keras.layers.Layer, kernel: np.ndarray) -> np.ndarray:
    """A kernel, or anything of its shape, as (groups, inputs, outputs).

    Args:
        layer: a built layer that `is_product`.
        kernel: array of the shape of `layer.kernel`.

    Returns:
        The same numbers; a depthwise convolution has a group per channel.

    >>> import keras, numpy as np
    >>> from tfopt.quantization.post_training._kernel_matrix import to_matrix
    >>> layer = keras.layers.DepthwiseConv2D((3, 2))
    >>> layer.build((None, 8, 8, 5))
    >>> to_matrix(layer, np.asarray(layer.kernel)).shape
    (5, 6, 1)
    """
    if kind(layer) == "Dense":
        return kernel[None]
    if kind(layer) == "EinsumDense":
        axes = _axes(layer)
        sizes = [kernel.shape[axis] for axis in axes.summed]
        return kernel.transpose(axes.summed + axes.kept).reshape(1, math.prod(sizes), -1)
    window = kernel.reshape(-1, *kernel.shape[-2:])
    if kind(layer) in _DEPTHWISE:
        return window.transpose(1, 0, 2)
    taps, inputs, outputs = window.shape
    grouped = window.reshape(taps, inputs, layer.groups, outputs // layer.groups)
    return grouped.transpose(2, 0, 1, 3).reshape(layer.groups, taps * inputs, -1)


def from_matrix(layer: keras.layers.Layer, matrix: np.ndarray) -> np.ndarray:
    """The inverse of `to_matrix`."""
    shape = tuple(layer.kernel.shape)
    if kind(layer) == "Dense":
        return matrix[0]
    if kind(layer) == "EinsumDense":
        order = _axes(layer).summed + _axes(layer).kept
        return matrix.reshape([shape[axis] for axis in order]).transpose(np.argsort(order))
    if kind(layer) in _DEPTHWISE:
        return matrix.transpose(1, 0, 2).reshape(shape)
    inputs = shape[-2]
    grouped = matrix.reshape(layer.groups, -1, inputs, shape[-1] // layer.groups)
    return grouped.transpose(1, 2, 0, 3).reshape(shape)


def input_rows(layer: keras.layers.Layer, x: np.ndarray, limit: int, rng: np.random.Generator) -> np.ndarray:
    """What each output of a layer is a product of: the rows `X` in `X W` (im2col).

    Args:
        layer: a built layer that `is_product`.
        x: its input.
        limit: rows to take at most, drawn at random from all samples and places.
        rng: the draw.

    Returns:
        float32 array of shape (groups, rows, inputs), fit for `to_matrix`.
    """
    if kind(layer) in ("Dense", "EinsumDense"):
        flat = _flat(layer, x)
        return flat[_draw(len(flat), limit, rng)][None].astype("float32")
    if layer.data_format == "channels_first":
        x = np.moveaxis(x, 1, -1)
    windows = _windows(layer, x)  # (samples, *places, channels, *taps), a view
    places = windows.shape[: windows.ndim - 1 - len(layer.kernel_size)]
    drawn = np.unravel_index(_draw(int(np.prod(places)), limit, rng), places)
    rows = windows[drawn].reshape(len(drawn[0]), x.shape[-1], -1).astype("float32")
    if kind(layer) in _DEPTHWISE:
        return rows.transpose(1, 0, 2)
    grouped = rows.reshape(len(rows), layer.groups, -1, rows.shape[-1])
    return grouped.transpose(1, 0, 3, 2).reshape(layer.groups, len(rows), -1)


def _axes(layer: keras.layers.Layer) -> EinsumAxes:
    axes = einsum_axes(layer)
    if axes is None:
        raise ValueError(
            f"{layer.name!r} must be a product of two matrices. Got the equation {layer.equation!r}."
        )
    return axes


def _flat(layer: keras.layers.Layer, x: np.ndarray) -> np.ndarray:
    """All vectors that the layer sums over."""
    if kind(layer) == "Dense":
        return x.reshape(-1, x.shape[-1])
    axes = _axes(layer)
    return x.transpose(axes.inputs).reshape(-1, math.prod(layer.kernel.shape[axis] for axis in axes.summed))


def _draw(count: int, limit: int, rng: np.random.Generator) -> np.ndarray:
    return np.arange(count) if count <= limit else np.sort(rng.choice(count, limit, replace=False))


def _windows(layer: keras.layers.Layer, x: np.ndarray) -> np.ndarray:
    """The window that each place of the output sees, as a view of the padded input."""
    axes = tuple(range(1, 1 + len(layer.kernel_size)))
    spans = [1 + (k - 1) * d for k, d in zip(layer.kernel_size, layer.dilation_rate, strict=True)]
    pads = [
        _padding(layer.padding, size, span, stride)
        for size, span, stride in zip(x.shape[1:-1], spans, layer.strides, strict=True)
    ]
    padded = np.pad(x, [(0, 0), *pads, (0, 0)])
    windows = np.lib.stride_tricks.sliding_window_view(padded, spans, axis=axes)
    strided = (slice(None), *(slice(None, None, stride) for stride in layer.strides), slice(None))
    return windows[(*strided, *(slice(None, None, dilation) for dilation in layer.dilation_rate))]


def _padding(mode: str, size: int, span: int, stride: int) -> tuple[int, int]:
    if mode == "causal":
        return span - 1, 0
    if mode == "valid":
        return 0, 0
    total = max((-(-size // stride) - 1) * stride + span - size, 0)
    return total // 2, total - total // 2
