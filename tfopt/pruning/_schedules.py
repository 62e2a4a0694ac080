"""Sparsity schedules: the fraction of zeros in the weights as a function of the optimizer step."""

import dataclasses
import numbers
from typing import Any

import keras

from tfopt.pruning._checks import (
    check_after,
    check_integer,
    check_number,
    check_sparsity,
    sentence,
)


class SparsitySchedule:
    """Base of the schedules: a frozen, serializable function from an optimizer step to a sparsity.

    A schedule is a step function. It is 0 before `begin_step`, changes at `begin_step`, then every `frequency` steps,
    and exactly at `end_step`, and is constant after that. New masks are due when its value changes, so it needs no
    state, and a resumed run continues where it stopped.

    A new schedule is a frozen dataclass with the fields `begin_step`, `end_step` and `frequency` and one method,
    `ramp`, registered with Keras like those below.

    >>> import dataclasses
    >>> from tfopt.pruning import SparsitySchedule
    >>> @dataclasses.dataclass(frozen=True)
    ... class Linear(SparsitySchedule):
    ...     end_step: int
    ...     begin_step: int = 0
    ...     frequency: int = 10
    ...     def ramp(self, progress: float) -> float:
    ...         return 0.8 * progress
    >>> [Linear(end_step=40)(step) for step in (0, 9, 10, 20, 40, 1000)]
    [0.0, 0.0, 0.2, 0.4, 0.8, 0.8]
    """

    begin_step: int
    end_step: int
    frequency: int

    @property
    def rewinds_to(self) -> int | None:
        """The step whose weights are restored at every new mask; None to go on with the current ones."""
        return None

    def __call__(self, step: int) -> float:
        """The fraction of zeros, in [0, 1), that the weights hold after `step` optimizer steps."""
        if step < self.begin_step:
            return 0.0
        if step >= self.end_step:
            return self.ramp(1.0)
        done = (step - self.begin_step) // self.frequency * self.frequency
        return self.ramp(done / (self.end_step - self.begin_step))

    def ramp(self, progress: float) -> float:
        """The sparsity at `progress`, which runs from 0 at `begin_step` to 1 at `end_step`."""
        raise NotImplementedError

    def get_config(self) -> dict[str, Any]:
        """Every constructor argument by name."""
        return dataclasses.asdict(self)  # type: ignore[call-overload]

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> "SparsitySchedule":
        """The schedule that `get_config` described."""
        return cls(**config)


@dataclasses.dataclass(frozen=True)
class Ramp(SparsitySchedule):
    """Base of the schedules that rise from one sparsity to another; a subclass adds `frequency` and a curve."""

    final_sparsity: float
    end_step: int
    initial_sparsity: float = 0.0
    begin_step: int = 0

    def __post_init__(self) -> None:
        check_sparsity(self, "final_sparsity")
        check_sparsity(self, "initial_sparsity")
        check_integer(self, "begin_step", minimum=0)
        check_integer(self, "end_step", minimum=1)
        check_integer(self, "frequency", minimum=1)
        check_after(self, "end_step", "begin_step", "To prune in a single step use ConstantSparsity.")
        if self.initial_sparsity > self.final_sparsity:
            expected = f"at most final_sparsity={self.final_sparsity}"
            raise ValueError(sentence(self, "initial_sparsity", expected, "Leave it out to begin at 0."))


@keras.saving.register_keras_serializable(package="tfopt")
@dataclasses.dataclass(frozen=True)
class ConstantSparsity(SparsitySchedule):
    """The same sparsity from `begin_step` on.

    Use it to prune a trained model in one shot and fine-tune it, or to keep the zeros of a pruned model in a later
    `fit`. There is no `frequency`: a pruned weight is exactly zero and stays the smallest, so choosing again would
    give the same mask.

    Args:
        sparsity: fraction of zeros, a float in [0, 1).
        begin_step: optimizer step from which weights are pruned.

    Raises:
        ValueError: `sparsity` is outside [0, 1) or `begin_step` is negative.
        TypeError: an argument is not a number, or `begin_step` is not an integer.

    >>> from tfopt.pruning import ConstantSparsity
    >>> schedule = ConstantSparsity(0.5, begin_step=10)
    >>> [schedule(step) for step in (0, 9, 10, 1000)]
    [0.0, 0.0, 0.5, 0.5]
    """

    sparsity: float
    begin_step: int = 0

    def __post_init__(self) -> None:
        check_sparsity(self, "sparsity")
        check_integer(self, "begin_step", minimum=0)

    @property
    def end_step(self) -> int:  # type: ignore[override]
        """The step at which the last mask is made: `begin_step`."""
        return self.begin_step

    def ramp(self, progress: float) -> float:
        """`sparsity`, always."""
        return self.sparsity


@keras.saving.register_keras_serializable(package="tfopt")
@dataclasses.dataclass(frozen=True)
class PolynomialDecay(Ramp):
    """Sparsity that grows fast at first, while many weights are redundant, and ever slower towards the end.

    The first choice for pruning while training or fine-tuning. With power 3 it is the schedule of Zhu & Gupta
    (2017), "To prune, or not to prune", https://arxiv.org/abs/1710.01878, equation 1:

    `sparsity(t) = final + (initial - final) * (1 - (t - begin_step) / (end_step - begin_step)) ** power`

    at `t = begin_step, begin_step + frequency, ..., end_step`, constant in between.

    Args:
        final_sparsity: fraction of zeros from `end_step` on, a float in [0, 1).
        end_step: optimizer step at which `final_sparsity` is reached. Leave some steps after it for the
            remaining weights to recover.
        initial_sparsity: fraction of zeros at `begin_step`, a float in [0, `final_sparsity`].
        begin_step: optimizer step at which pruning begins.
        power: exponent of the polynomial, above 0; 1 is linear.
        frequency: optimizer steps between two updates of the masks.

    Raises:
        ValueError: a value is out of range, or `end_step` is not after `begin_step`.
        TypeError: an argument is not a number, or a step is not an integer.

    >>> from tfopt.pruning import PolynomialDecay
    >>> schedule = PolynomialDecay(final_sparsity=0.8, end_step=1000)
    >>> [round(schedule(step), 4) for step in (0, 100, 199, 500, 1000, 5000)]
    [0.0, 0.2168, 0.2168, 0.7, 0.8, 0.8]
    """

    power: float = 3
    frequency: int = 100

    def __post_init__(self) -> None:
        super().__post_init__()
        check_number(
            self, "power", numbers.Real, lambda x: x > 0, "a number above 0", "The usual cubic is 3."
        )

    def ramp(self, progress: float) -> float:
        """The polynomial at `progress` in [0, 1]."""
        gap = self.initial_sparsity - self.final_sparsity
        return self.final_sparsity + gap * (1.0 - progress) ** self.power
