"""Schedules in optimizer steps: written in epochs, or longer than the training."""

import dataclasses
import warnings
from collections.abc import Callable
from typing import Any

STEP_FIELDS = ("begin_step", "end_step", "rewind_step", "step")


def in_steps(schedule: Any, steps_per_epoch: float) -> Any:
    """The same schedule or regrowth with its begin, end and rewinding in optimizer steps instead of epochs.

    `frequency` counts optimizer steps in both. Any other function is called with epochs, a float.

    >>> from tfopt.pruning import PolynomialDecay
    >>> in_steps(PolynomialDecay(0.8, end_step=4, begin_step=1), steps_per_epoch=250).end_step
    1000
    >>> in_steps(lambda epoch: 0.1 * epoch, steps_per_epoch=250)(500)
    0.2
    """
    if dataclasses.is_dataclass(schedule):
        fields = {field.name for field in dataclasses.fields(schedule)} & set(STEP_FIELDS)
        old = {name: getattr(schedule, name) for name in fields}
        new = {name: round(value * steps_per_epoch) for name, value in old.items() if value is not None}
        return dataclasses.replace(schedule, **new)  # type: ignore[type-var]
    return _scaled(schedule, steps_per_epoch)


def _scaled(schedule: Callable[[float], float], steps_per_epoch: float) -> Callable[[int], float]:
    return lambda step: schedule(step / steps_per_epoch)


def warn_if_unfinished(schedule: Any, step: int, note: str) -> None:
    """Warn if training ended before the schedule; `note` says what was counted."""
    end_step = getattr(schedule, "end_step", None)
    if end_step is not None and step < end_step:
        warnings.warn(
            f"Training ended at step {step}, before the pruning schedule does at step {end_step}: the "
            f"sparsity is {schedule(step):.3g} instead of {schedule(end_step):.3g}.{note} Train "
            f"longer, or pass a schedule that ends at step {step} or before.",
            stacklevel=3,
        )
