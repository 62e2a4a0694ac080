"""Rewinding: the weights of an earlier step, kept on the device until a round of pruning restores them."""

from typing import Any

import keras
from keras import ops

from tfopt.pruning._backend import variable_scope


class Rewinder:
    """Copies all trainable weights at a given step, and sets the weights back to this copy later.

    Args:
        step: the optimizer step whose weights are restored.
    """

    def __init__(self, step: int) -> None:
        self.step = step
        self._copies: list[Any] | None = None

    def watch(self, model: keras.Model, step: int) -> None:
        """Copy the weights, the first time that the step to rewind to is reached."""
        if self._copies is None and step == self.step:
            # A sum is a new tensor on every backend; the variable itself keeps changing.
            self._copies = [ops.convert_to_tensor(weight) + 0 for weight in model.trainable_variables]

    def rewind(self, model: keras.Model, step: int) -> None:
        """Set the weights back.

        Raises:
            ValueError: the step to rewind to was not seen in this process.
        """
        if self._copies is None:
            raise ValueError(
                f"The 'rewind_step' of the schedule must be a step of this training. Got {self.step}, which was not "
                f"seen before step {step}, instead: a resumed run does not know the weights of earlier runs, "
                "and with steps_per_execution above 1 only its multiples are seen. Give the schedule later steps."
            )
        with variable_scope(model):
            for weight, copy in zip(model.trainable_variables, self._copies, strict=True):
                weight.assign(copy)
