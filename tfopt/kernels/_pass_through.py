"""What layers share that mark a place in a graph and compute nothing."""

from typing import Any

import keras


class PassThrough(keras.layers.Layer):
    """A layer that returns its inputs, and of which nothing is left in a file."""

    graph_primitive = True  # capture must find it again as what it is
    keeps_values = True

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.supports_masking = True

    def call(self, inputs: Any) -> Any:
        return inputs

    def compute_output_spec(self, inputs: Any) -> keras.KerasTensor:
        return keras.KerasTensor(inputs.shape, inputs.dtype)

    def to_inference(self) -> keras.layers.Layer:
        """Nothing at all: it is for who reads the graph."""
        return keras.layers.Identity(name=self.name)
