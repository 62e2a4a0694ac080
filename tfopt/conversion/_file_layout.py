"""How TFLite lays a kernel out."""

import numpy as np


def in_file_layout(kernel: np.ndarray, op: str, shape: tuple[int, ...]) -> np.ndarray | None:
    """A Keras kernel as TFLite lays it out; None if it has another shape then."""
    rank = 2 if op == "FULLY_CONNECTED" else 4
    if kernel.ndim != rank:
        return None
    if op == "DEPTHWISE_CONV_2D":
        moved = kernel.reshape(1, *kernel.shape[:2], -1)
    elif op == "TRANSPOSE_CONV":
        moved = kernel.transpose(2, 0, 1, 3)
    else:
        moved = np.moveaxis(kernel, -1, 0)
    return moved if moved.shape == shape else None


def kernel_as_stored(kernel: np.ndarray, op: str, codes: np.ndarray, scales: np.ndarray) -> np.ndarray | None:
    """The kernel as TFLite lays it out, if the file holds its values as the converter rounded them."""
    moved = in_file_layout(kernel, op, codes.shape)
    if moved is None:
        return None
    axis = codes.ndim - 1 if op == "DEPTHWISE_CONV_2D" else 0
    steps = scales.reshape([-1 if at == axis else 1 for at in range(codes.ndim)])
    return moved if (np.abs(codes * steps - moved) <= 0.51 * steps).all() else None
