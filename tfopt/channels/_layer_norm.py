"""Layer norm after some channels were removed: with the exact statistics, as if they were there as zeros."""

from typing import Any

import keras
from keras import ops


@keras.saving.register_keras_serializable(package="tfopt")
class PartialLayerNormalization(keras.layers.LayerNormalization):
    """Layer norm whose mean and variance count removed channels as zeros.

    `shrink` puts it where channels that a LayerNormalization normalizes were removed, because statistics over fewer
    channels would change the outputs. With K channels left of C, and the mean m over all C:

        m = K/C mean(x),  v = K/C mean((x - m)^2) + (1 - K/C) m^2,  y = (x - m) / sqrt(v + epsilon) * gamma + beta

    which is layer norm (Ba et al. 2016, https://arxiv.org/abs/1607.06450) of x padded with zeros. It costs what layer
    norm costs, and its weights and files are those of LayerNormalization.

    Args:
        channels: C, the number of channels before any was removed; at least that of the inputs.
        **kwargs: as for `keras.layers.LayerNormalization`; only the last axis is normalized.

    Raises:
        ValueError: the inputs have more than `channels` channels.

    >>> import numpy as np
    >>> from tfopt.channels import PartialLayerNormalization
    >>> x = np.array([[1.0, 2.0, 6.0]], "float32")
    >>> full = keras.layers.LayerNormalization()(np.pad(x, ((0, 0), (0, 1))))
    >>> bool(np.allclose(PartialLayerNormalization(channels=4)(x), full[:, :3], atol=1e-6))
    True
    """

    def __init__(self, channels: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.channels = channels

    def build(self, input_shape: Any) -> None:
        if input_shape[-1] > self.channels:
            raise ValueError(
                f"The 'channels' argument of {self.name!r} must be at least the number of channels of its inputs, "
                f"{input_shape[-1]}. Got {self.channels} instead. Pass the number before any was removed."
            )
        super().build(input_shape)

    def call(self, inputs: Any) -> Any:
        dtype = keras.backend.result_type(inputs.dtype, "float32")
        x = ops.cast(inputs, dtype)
        part = x.shape[-1] / self.channels
        mean = part * ops.mean(x, axis=-1, keepdims=True)
        centered = x - mean
        variance = part * ops.mean(ops.square(centered), axis=-1, keepdims=True)
        variance = variance + (1.0 - part) * ops.square(mean)
        x = centered * ops.rsqrt(variance + self.epsilon)
        if self.scale:
            x = x * ops.cast(self.gamma, dtype)
        if self.center:
            x = x + ops.cast(self.beta, dtype)
        return ops.cast(x, self.compute_dtype)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "channels": self.channels}
