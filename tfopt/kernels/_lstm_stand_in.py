"""What the converter is given in place of an LSTM: one operator of the same shapes, which export replaces."""

import zlib
from typing import Any

import keras
import numpy as np


@keras.saving.register_keras_serializable(package="tfopt")
class LstmStandIn(keras.layers.Layer):
    """A product with a matrix of its own, which the converter makes a FULLY_CONNECTED of, and export an LSTM.

    The converter writes no UNIDIRECTIONAL_SEQUENCE_LSTM for Keras 3 models. The layer carries what the operator in
    the file holds, in Keras' layout, as weights that its call does not read.

    Args:
        units: outputs of a step.
        **kwargs: `name` and `dtype` of every Keras layer.

    Example:

    >>> import numpy as np
    >>> from tfopt.kernels import LstmStandIn
    >>> LstmStandIn(3)(np.ones((2, 4, 5), "float32")).shape
    TensorShape([2, 4, 3])
    """

    graph_primitive = True  # capture must find it again as what it is

    def __init__(self, units: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.units = units

    def build(self, input_shape: Any) -> None:
        gates = 4 * self.units
        shapes = ((input_shape[-1], gates), (self.units, gates), (gates,), (4,), (4,), ())
        names = ("kernel", "recurrent", "bias", "kernel_steps", "recurrent_steps", "cell_step")
        self.held = [
            self.add_weight(name=name, shape=shape, trainable=False)
            for name, shape in zip(names, shapes, strict=True)
        ]

    def matrix(self) -> np.ndarray:
        """The matrix by which the operator is found in the file, (inputs, units): the layer's name tells it."""
        rng = np.random.default_rng(zlib.crc32(self.name.encode()))
        return rng.normal(size=(self.held[0].shape[0], self.units)).astype("float32")

    def call(self, sequences: Any, initial_state: Any = None, mask: Any = None) -> Any:
        import tensorflow as tf

        # Of `ops.matmul` and `tf.matmul` the converter flattens the samples and steps.
        return tf.raw_ops.BatchMatMulV2(x=sequences, y=self.matrix())

    def compute_output_spec(self, sequences: Any, *args: Any, **kwargs: Any) -> keras.KerasTensor:
        return keras.KerasTensor((*sequences.shape[:2], self.units), sequences.dtype)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "units": self.units}
