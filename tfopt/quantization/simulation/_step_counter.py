"""The steps of training at which quantization changes: when rounding starts, when ranges and batch norms freeze."""

from collections.abc import Callable
from typing import Any

import keras
from keras import ops

from tfopt._untracked import Untracked


@keras.saving.register_keras_serializable(package="tfopt")
class StepCounter(keras.layers.Layer):
    """Counts training steps; its output is its input.

    `quantize` puts one at the model's input where a setting of `QuantConfig` depends on the step. The count is a
    weight, saved with the model, so that a resumed run goes on where it stopped.

    Args:
        delay: steps of float training before rounding starts.
        freeze_step: the step after which ranges stand still; None for never.
        freeze_batch_norm_step: the step after which batch norms keep their statistics; None for never.
        **kwargs: `name` and `dtype` of every Keras layer.

    Example:

    >>> import numpy as np
    >>> from tfopt.quantization import StepCounter
    >>> counter = StepCounter(freeze_step=1)
    >>> for _ in range(3):
    ...     _ = counter(np.zeros((2, 1)), training=True)
    >>> int(counter.steps), bool(counter.ranges_are_frozen())
    (3, True)
    """

    graph_primitive = True  # capture must find it again as what it is

    def __init__(
        self,
        delay: int = 0,
        freeze_step: int | None = None,
        freeze_batch_norm_step: int | None = None,
        **kwargs: Any,
    ) -> None:
        # Token numbers pass unchanged whatever the policy.
        super().__init__(**{"autocast": False, **kwargs})
        self.delay = delay
        self.freeze_step = freeze_step
        self.freeze_batch_norm_step = freeze_batch_norm_step

    def build(self, input_shape: Any) -> None:
        options = {"shape": (), "trainable": False, "autocast": False, "aggregation": "only_first_replica"}
        self.steps = self.add_weight(name="steps", dtype="int32", initializer="zeros", **options)
        if self.delay:
            self.delayed = self.add_weight(name="delayed", dtype="int32", initializer="zeros", **options)

    def call(self, inputs: Any, training: bool | None = None) -> Any:
        if training:
            self.steps.assign(self.steps + 1)
        if self.delay:
            # A variable, for layers further on cannot all tell training from inference.
            waiting = self.steps <= self.delay if training else False
            self.delayed.assign(ops.cast(waiting, "int32"))
        return inputs

    def is_delayed(self) -> Any:
        """Whether this pass is one of float training: a bool, or a bool tensor if there is a delay at all."""
        return self.delayed > 0 if self.delay else False

    def ranges_are_frozen(self) -> Any:
        """Whether ranges stand still in this step."""
        return False if self.freeze_step is None else self.steps > self.freeze_step

    def batch_norms_are_frozen(self) -> Any:
        """Whether batch norms use their moving statistics in this step."""
        return False if self.freeze_batch_norm_step is None else self.steps > self.freeze_batch_norm_step

    def compute_output_spec(self, inputs: Any, *args: Any, **kwargs: Any) -> keras.KerasTensor:
        return keras.KerasTensor(inputs.shape, inputs.dtype)

    def to_inference(self) -> keras.layers.Layer:
        """Nothing at all: what the converter reads."""
        return keras.layers.Identity(name=self.name)

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "delay": self.delay,
            "freeze_step": self.freeze_step,
            "freeze_batch_norm_step": self.freeze_batch_norm_step,
        }


class Timed:
    """Mixin of the layers that a `StepCounter` steers; without one they always round and never freeze."""

    _counter: Untracked | None = None

    def set_counter(self, counter: StepCounter) -> None:
        """Names the model's counter, which the model tracks and saves."""
        self._counter = Untracked(counter)

    @property
    def counter(self) -> StepCounter | None:
        """The model's counter, if it has one."""
        return None if self._counter is None else self._counter.value

    def unless_delayed(self, value: Any, rounded: Callable[[], Any]) -> Any:
        """`rounded()`, or `value` while rounding is delayed."""
        delayed = self.counter.is_delayed() if self.counter is not None else False
        if delayed is False:
            return rounded()
        # Converted, because both branches must return the same type, and a weight is a variable.
        return ops.cond(delayed, lambda: ops.convert_to_tensor(value), rounded)
