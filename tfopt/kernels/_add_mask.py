"""The layer that leaves out scores before a softmax."""

from typing import Any

import keras
from keras import ops

# What is added to a score that is left out: more than any range of scores spans. A sum with 0 on the grid of 16 bits is
# then still exact to a hundredth of a step.
LEFT_OUT = -4096.0
# So much below the smallest score of a batch does a score lie that is left out: a share of less than 2**-20.
_BELOW = 16.0


@keras.saving.register_keras_serializable(package="tfopt")
class AddMask(keras.layers.Layer):
    """Scores on the grid that they came on, with those that a mask leaves out at its lowest code.

    An integer grid that held minus infinity, or the -1e9 that Keras adds, would have no steps left for the scores. This
    one reaches a little below the smallest score; TFLite's ADD, where a mask is added, stops there.

    Args:
        plain: add, as the converter is to see it.
        **kwargs: `name` and `dtype` of every Keras layer.

    Call arguments:
        scores: float tensor.
        mask: what is added, 0 or `LEFT_OUT`; it broadcasts with the scores.

    Example:

    >>> import numpy as np
    >>> from tfopt.kernels import AddMask
    >>> np.array(AddMask()(np.array([1.0, 3.0], "float32"), np.array([0.0, -4096.0], "float32"))).tolist()
    [1.0, -15.0]
    """

    graph_primitive = True  # capture must find it again as what it is

    def __init__(self, plain: bool = False, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.plain = plain

    def call(self, scores: Any, mask: Any) -> Any:
        mask = ops.cast(mask, scores.dtype)
        if self.plain:
            return scores + mask
        return ops.where(mask < 0.5 * LEFT_OUT, ops.stop_gradient(ops.min(scores)) - _BELOW, scores)

    def compute_output_spec(self, scores: Any, mask: Any) -> keras.KerasTensor:
        return keras.KerasTensor(scores.shape, scores.dtype)

    def to_inference(self) -> "AddMask":
        """What the converter reads."""
        return AddMask(plain=True, name=self.name, dtype=self.dtype_policy)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "plain": self.plain}


def masked_codes(sources: Any, x: Any, operands: Any, grid: Any) -> Any:
    """The rule of the kernel, of every family: scores as they came, and what is far below them at the lowest code."""
    scores = ops.cast(operands[0], "float32")
    is_left_out = x < scores - 0.5 * _BELOW
    return ops.where(is_left_out, -(2.0**15), ops.round(scores / sources[0].step()))
