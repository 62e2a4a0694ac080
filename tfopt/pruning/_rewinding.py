"""Rewinding: the weights of an earlier step, kept on the device until a round of pruning brings them back."""

from typing import Any

import keras
from keras import ops

from tfopt.pruning._backend import variable_scope


class Rewinder:
    """Keeps a copy of all trainable weights as they are after a step.

    Args:
        step: the optimizer step whose weights come back.
    """

    def __init__(self, step: int) -> None:
        self.step = step
        self._copies: list[Any] | None = None

    def watch(self, model: keras.Model, step: int) -> None:
        """Copy the weights, the first time that `step` has come."""
        if self._copies is None and step == self.step:
            # A sum is a new tensor on every backend; the variable itself goes on changing.
            self._copies = [ops.convert_to_tensor(weight) + 0 for weight in model.trainable_variables]

    def rewind(self, model: keras.Model, step: int) -> None:
        """Set the weights back.

        Raises:
            ValueError: the step to rewind to was not seen in this process.
        """
        if self._copies is None:
            raise ValueError(
                f"The 'rewind_step' of the schedule must be a step of this training. Got {self.step}, which was not "
                f"seen before step {step}, instead: a run that is resumed does not know the weights of earlier ones, "
                "and with steps_per_execution above 1 only its multiples are seen. Give the schedule later steps."
            )
        with variable_scope(model):
            for weight, copy in zip(model.trainable_variables, self._copies, strict=True):
                weight.assign(copy)
