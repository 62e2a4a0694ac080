"""Real values as the numbers that a tensor of a .tflite file holds, and back."""

import numpy as np

from tfopt._float32 import HALF_WINDOW
from tfopt.runtimes._tensors import Tensor


def quantize_values(x: np.ndarray, scale: float, zero_point: int, dtype: str) -> np.ndarray:
    """Real values on the integer grid of a tensor: `floor(x / scale + 1/2) + zero_point`, clipped to the type.

    A value within `HALF_WINDOW` steps below a half counts as a half and is rounded up, as at the inputs of a quantized
    model, so that file and simulation start from the same integers. (8 with a scale of 16/255 is exactly half-way, and
    a little less in float32.) Runtimes that get floats differ here: LiteRT's QUANTIZE rounds halves away from zero,
    XNNPACK to even.

    Args:
        x: real values, any shape.
        scale: size of a step.
        zero_point: the integer that stands for 0.0.
        dtype: `"int8"`, `"uint8"` or `"int16"`.

    Example:

    >>> quantize_values(np.array([-0.5, 0.5, 0.24, 9.0]), scale=1.0, zero_point=-3, dtype="int8")
    array([-3, -2, -3,  6], dtype=int8)
    >>> quantize_values(np.array([8.0]), scale=float(np.float32(16 / 255)), zero_point=-128, dtype="int8")
    array([0], dtype=int8)
    """
    # In float32, as the simulation computes it: in float64 one value in 100,000 would go the other way.
    steps = np.asarray(x, np.float32) / np.float32(scale)
    rounded = np.floor(steps + np.float32(0.5 + HALF_WINDOW)) + zero_point
    limits = np.iinfo(dtype)
    return np.clip(rounded, limits.min, limits.max).astype(dtype)


def to_dtype(array: np.ndarray, tensor: Tensor) -> np.ndarray:
    """Real values in the type and on the grid of an input tensor."""
    if tensor.scale:
        return quantize_values(array, tensor.scale, tensor.zero_point, tensor.dtype)
    return np.ascontiguousarray(array, dtype=tensor.dtype)


def to_real(array: np.ndarray, tensor: Tensor) -> np.ndarray:
    """The real values of an output tensor's integers, in float32; floats are returned as they are."""
    if tensor.scale:
        return ((array.astype(np.float64) - tensor.zero_point) * tensor.scale).astype(np.float32)
    return array
