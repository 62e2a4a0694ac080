"""The largest weight of each channel, by which the converter chooses its step."""

from collections.abc import Sequence

import numpy as np


def channel_bounds(kernel: np.ndarray, axes: Sequence[int]) -> np.ndarray:
    """The largest magnitude in each channel, with 1 in place of the axes that are no channels.

    Without an array of magnitudes beside the kernel, which may be large.

    Args:
        kernel: the kernel.
        axes: those that index channels, as `CHANNEL_AXES` has them.

    >>> import numpy as np
    >>> from tfopt.conversion._channel_bounds import channel_bounds
    >>> channel_bounds(np.array([[1.0, -4.0], [-3.0, 2.0]]), axes=(-1,)).tolist()
    [[3.0, 4.0]]
    """
    reduced = tuple({*range(kernel.ndim)} - {axis % kernel.ndim for axis in axes})
    return np.maximum(kernel.max(axis=reduced, keepdims=True), -kernel.min(axis=reduced, keepdims=True))
