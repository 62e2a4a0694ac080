"""The layer that marks what a step of a recurrent layer reads of the step before."""

from typing import Any

import keras

from tfopt.kernels._pass_through import PassThrough


@keras.saving.register_keras_serializable(package="tfopt")
class StepState(PassThrough):
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

    def __init__(self, backwards: bool = False, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.backwards = backwards

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "backwards": self.backwards}
