"""Packed weights: codes of four bits or fewer, two to a byte, and which kernels read them."""

import math
from typing import Any

from tfopt.graph import kind

# LiteRT 2.3 runs these on int4 weights with int8 activations; its TRANSPOSE_CONV refuses. Keras' kinds and TFLite's
# names of the same kernels.
PACKED_DEPTHWISE = ("DepthwiseConv1D", "DepthwiseConv2D")
PACKED_CONVOLUTIONS = ("Conv1D", "Conv2D", *PACKED_DEPTHWISE)
PACKED_DENSE = ("Dense", "EinsumDense")
PACKED_OPERATORS = ("CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED")


def is_packed(bits: int) -> bool:
    """Whether codes of so many bits are stored two to a byte, where a kernel reads that.

    >>> from tfopt.kernels import is_packed
    >>> is_packed(4), is_packed(5)
    (True, False)
    """
    return bits <= 4


def leaves_xnnpack(layer: Any) -> bool:
    """Whether XNNPACK does not compute a layer with packed weights: it multiplies matrices of even depth alone."""
    if kind(layer) not in PACKED_DENSE:
        return kind(layer) in PACKED_CONVOLUTIONS
    kept = {axis % len(layer.kernel.shape) for axis in layer.axes_of("kernel")}
    depth = math.prod(size for axis, size in enumerate(layer.kernel.shape) if axis not in kept)
    return depth % 2 == 1
