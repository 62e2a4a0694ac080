"""Settings that may change while training: a number, or a schedule from the training step to a number."""

import math
from collections.abc import Callable
from typing import Any

import keras
from keras import ops

Setting = float | Callable[[Any], Any]


def check_setting(owner: str, argument: str, value: Any, positive: bool = False) -> Any:
    """The setting as a float, or the schedule itself; a schedule is tried at step 0.

    Args:
        owner: the class whose argument it is, for the error message.
        argument: the argument's name.
        value: a number, or a callable from step to number such as a Keras learning rate schedule.
        positive: whether zero is refused too.

    Raises:
        TypeError: the value is neither a number nor callable.
        ValueError: the number, or the schedule's first value, is negative, zero where that is refused, or not finite.

    >>> from tfopt.distillation._settings import check_setting
    >>> check_setting("SoftTargets", "weight", 2)
    2.0
    """
    if not callable(value) and not isinstance(value, (int, float)):
        raise TypeError(
            f"The '{argument}' argument of {owner} must be a number, or a schedule: a callable from the training step "
            f"to a number. Got {value!r} instead."
        )
    first = float(ops.convert_to_numpy(value(ops.zeros((), "int32")))) if callable(value) else float(value)
    if not math.isfinite(first) or first < 0 or (positive and first == 0):
        at_start = " at step 0" if callable(value) else ""
        raise ValueError(
            f"The '{argument}' argument of {owner} must be a finite number {'> 0' if positive else '>= 0'}. "
            f"Got {first if callable(value) else value}{at_start} instead."
        )
    return value if callable(value) else first


def value_at(setting: Any, step: Any) -> Any:
    """The setting's value at a training step: a float, or for a schedule a float32 scalar tensor."""
    return ops.cast(setting(step), "float32") if callable(setting) else setting


def serialize_setting(setting: Any) -> Any:
    """A number as it is, a schedule as a Keras config."""
    return keras.saving.serialize_keras_object(setting) if callable(setting) else setting


def deserialize_setting(config: Any) -> Any:
    """The reverse of `serialize_setting`."""
    return keras.saving.deserialize_keras_object(config) if isinstance(config, dict) else config
