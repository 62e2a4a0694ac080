"""The layer at the border between activations of different bits."""

from typing import Any

import keras

# Bits of the codes that are written -> the slope of the leaky ReLU that stands for the operator in the converter.
SLOPES = {16: 0.6875 + 2.0**-20, None: 0.8125 + 2.0**-20}


@keras.saving.register_keras_serializable(package="tfopt")
class Requantize(keras.layers.Layer):
    """Brings activations to codes of so many bits: TFLite's QUANTIZE operator between two integer grids.

    `quantize` puts one before and one behind what computes in 16 bits within an 8-bit model, such as a layer
    normalization. It returns its inputs; the `FakeQuantize` behind it rounds them.

    Args:
        num_bits: bits of the codes that it writes: 16, or None for those of the model.
        slope: what the converter is shown, which would write two grids that follow each other as it likes: a leaky ReLU
            with this slope below 0. `export` makes a QUANTIZE of it.
        **kwargs: `name` and `dtype` of every Keras layer.

    Example:

    >>> import numpy as np
    >>> from tfopt.kernels import Requantize
    >>> np.array(Requantize(16)(np.array([0.25, 0.5], "float32"))).tolist()
    [0.25, 0.5]
    """

    graph_primitive = True  # capture must find it again as what it is
    keeps_values = True

    def __init__(self, num_bits: int | None = 16, slope: float = 1.0, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.num_bits = num_bits
        self.slope = slope
        self.supports_masking = True

    def call(self, inputs: Any) -> Any:
        if self.slope == 1.0:
            return inputs
        return keras.ops.leaky_relu(inputs, negative_slope=self.slope)

    def compute_output_spec(self, inputs: Any) -> keras.KerasTensor:
        return keras.KerasTensor(inputs.shape, inputs.dtype)

    def to_inference(self) -> keras.layers.Layer:
        """What the converter reads."""
        return Requantize(self.num_bits, SLOPES[self.num_bits], name=self.name, dtype=self.dtype_policy)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "num_bits": self.num_bits, "slope": self.slope}
