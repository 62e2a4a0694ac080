"""The layer that multiplies and shifts each channel: the end of a normalization."""

from typing import Any

import keras


@keras.saving.register_keras_serializable(package="tfopt")
class ScaleShift(keras.layers.Layer):
    """`x * gamma + beta` along the last axis, with weights that train.

    What is left of a layer normalization when its statistics are taken apart; one kernel, a 1x1 depthwise convolution
    whose weights have no rounding error.

    Args:
        scale: whether there is a `gamma`; 1 without.
        center: whether there is a `beta`; 0 without.
        **kwargs: `name`, `dtype` and `trainable` of every Keras layer.

    Example:

    >>> import numpy as np
    >>> from tfopt.kernels import ScaleShift
    >>> layer = ScaleShift()
    >>> layer.build((None, 2))
    >>> layer.set_weights([np.array([2.0, 3.0]), np.array([0.5, 0.0])])
    >>> np.array(layer(np.array([[1.0, -1.0]], "float32"))).tolist()
    [[2.5, -3.0]]
    """

    graph_primitive = True  # capture must find it again as what it is

    def __init__(self, scale: bool = True, center: bool = True, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.scale = scale
        self.center = center
        self.supports_masking = True

    def build(self, input_shape: Any) -> None:
        shape = (input_shape[-1],)
        self.gamma = self.add_weight(name="gamma", shape=shape, initializer="ones") if self.scale else None
        self.beta = self.add_weight(name="beta", shape=shape, initializer="zeros") if self.center else None

    def call(self, inputs: Any) -> Any:
        outputs = inputs if self.gamma is None else inputs * keras.ops.cast(self.gamma, inputs.dtype)
        return outputs if self.beta is None else outputs + keras.ops.cast(self.beta, inputs.dtype)

    def compute_output_shape(self, input_shape: Any) -> Any:
        return input_shape

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "scale": self.scale, "center": self.center}
