"""The layer that marks what a step of a recurrent layer reads of the step before."""

from typing import Any

import keras


@keras.saving.register_keras_serializable(package="tfopt")
class StepState(keras.layers.Layer):
    """Marks a state of a recurrent layer where a step reads it; it returns its inputs.

    Each step calls it on the state before it. `tfopt.streaming` cuts there.

    Args:
        backwards: whether the steps go from the end of the sequence to its beginning.
        **kwargs: `name` and `dtype` of every Keras layer.

    Example:

    >>> import numpy as np
    >>> from tfopt.kernels import StepState
    >>> np.array(StepState()(np.array([0.25, 0.5], "float32"))).tolist()
    [0.25, 0.5]
    """

    graph_primitive = True  # capture must find it again as what it is
    keeps_values = True

    def __init__(self, backwards: bool = False, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.backwards = backwards
        self.supports_masking = True

    def call(self, inputs: Any) -> Any:
        return inputs

    def compute_output_spec(self, inputs: Any) -> keras.KerasTensor:
        return keras.KerasTensor(inputs.shape, inputs.dtype)

    def to_inference(self) -> keras.layers.Layer:
        """Nothing at all: it is for who reads the graph."""
        return keras.layers.Identity(name=self.name)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "backwards": self.backwards}
