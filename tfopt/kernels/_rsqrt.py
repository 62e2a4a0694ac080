"""The layer of a reciprocal root that training goes through, zeros included."""

from typing import Any

import keras
from keras import ops

_SMALLEST = 1e-24


@keras.saving.register_keras_serializable(package="tfopt")
class Rsqrt(keras.layers.Layer):
    """`1 / sqrt(max(x, smallest))`: TFLite's RSQRT, with a gradient that is finite where codes are 0.

    Args:
        smallest: what smaller numbers count as.
        **kwargs: `name` and `dtype` of every Keras layer.

    Example:

    >>> import numpy as np
    >>> from tfopt.kernels import Rsqrt
    >>> np.array(Rsqrt()(np.array([4.0, 0.25], "float32"))).tolist()
    [0.5, 2.0]
    """

    graph_primitive = True  # capture must find it again as what it is

    def __init__(self, smallest: float = _SMALLEST, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.smallest = smallest
        self.supports_masking = True

    def call(self, inputs: Any) -> Any:
        return ops.rsqrt(ops.maximum(inputs, self.smallest) if self.smallest else inputs)

    def compute_output_spec(self, inputs: Any) -> keras.KerasTensor:
        return keras.KerasTensor(inputs.shape, inputs.dtype)

    def to_inference(self) -> "Rsqrt":
        """The operator alone: codes are whole numbers, and its kernel knows what to do with 0."""
        return Rsqrt(0.0, name=self.name, dtype=self.dtype_policy)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "smallest": self.smallest}
