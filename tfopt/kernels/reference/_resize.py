"""RESIZE_BILINEAR and RESIZE_NEAREST_NEIGHBOR of TFLite Micro, which keep their input's grid."""

from typing import Any

import numpy as np
from keras import ops

from tfopt.kernels.reference._integers import double, whole

# Positions between two pixels are whole numbers of 1/1024.
_PARTS = 1024


def _positions(size: int, output_size: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Of each output pixel, with pixels at their centers: the pixel before, the one after, and 1024ths between them."""
    scale = (_PARTS * size + output_size // 2) // output_size
    # Integer division of C++ cuts towards 0.
    at = np.arange(output_size) * scale + scale // 2 - _PARTS // 2
    before = np.maximum(np.trunc(at / _PARTS).astype("int64"), 0)
    after = np.minimum(np.trunc((at + _PARTS - 1) / _PARTS).astype("int64"), size - 1)
    return before, after, at - _PARTS * before


def bilinear(codes: Any, shape: tuple[int, int], zero_point: Any) -> Any:
    """Four pixels weighted by 1024ths of their distances, rounded, halves away from the stored code 0.

    tflite-micro, kernels/internal/reference/resize_bilinear.h (`ResizeBilinearInteger`), with `half_pixel_centers`,
    as Keras places pixels.

    Args:
        codes: of an image (batch, height, width, channels), counted from that of 0.0.
        shape: height and width of the output.
        zero_point: the stored code of 0.0, -128 to 127.

    Returns:
        Codes (batch, *shape, channels).

    >>> import numpy as np
    >>> from tfopt.kernels.reference._resize import bilinear
    >>> np.array(bilinear(np.array([[[[0.0], [4.0]]]]), (1, 4), 0))[0, 0, :, 0].tolist()
    [0, 1, 3, 4]
    """
    zero_point = double(zero_point)
    stored = double(whole(codes)) + zero_point
    for axis, output_size in zip((1, 2), shape, strict=True):
        before, after, part = _positions(codes.shape[axis], output_size)
        weight = np.reshape(part, [-1 if i == axis else 1 for i in range(4)]).astype("float64")
        stored = (
            ops.take(stored, before, axis=axis) * (_PARTS - weight)
            + ops.take(stored, after, axis=axis) * weight
        )
    rounded = ops.sign(stored) * ops.floor(ops.abs(stored) / float(_PARTS**2) + 0.5)
    return whole(rounded - zero_point)
