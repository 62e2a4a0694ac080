"""Schedules that prune in one or a few rounds, and can rewind the weights that survive (lottery tickets)."""

import dataclasses
from typing import Any

import keras

from tfopt.pruning._checks import check_after, check_integer, check_sparsity, sentence
from tfopt.pruning._schedules import SparsitySchedule


@keras.saving.register_keras_serializable(package="tfopt")
@dataclasses.dataclass(frozen=True)
class OneShot(SparsitySchedule):
    """All zeros at once at `step`; optionally, the surviving weights are set back to an earlier step.

    Without `rewind_step` it is `ConstantSparsity(sparsity, begin_step=step)`. With it, one round of the lottery
    ticket procedure: see `Iterative`.

    Args:
        sparsity: fraction of zeros, a float in [0, 1).
        step: optimizer step at which weights are pruned.
        rewind_step: optimizer step, before `step`, whose weights are restored; None to go on with the current ones.

    Raises:
        ValueError: a value is out of range.
        TypeError: an argument is not a number, or a step is not an integer.

    >>> from tfopt.pruning import OneShot
    >>> [OneShot(0.8, step=100)(step) for step in (0, 99, 100, 1000)]
    [0.0, 0.0, 0.8, 0.8]
    """

    sparsity: float
    step: int = 0
    rewind_step: int | None = None

    def __post_init__(self) -> None:
        check_sparsity(self, "sparsity")
        check_integer(self, "step", minimum=0)
        _check_rewind(self, "step")

    @property
    def begin_step(self) -> int:  # type: ignore[override]
        """`step`."""
        return self.step

    @property
    def end_step(self) -> int:  # type: ignore[override]
        """`step`."""
        return self.step

    @property
    def rewinds_to(self) -> int | None:
        """`rewind_step`."""
        return self.rewind_step

    def ramp(self, progress: float) -> float:
        """`sparsity`, always."""
        return self.sparsity


@keras.saving.register_keras_serializable(package="tfopt")
@dataclasses.dataclass(frozen=True)
class Iterative(SparsitySchedule):
    """Prune, train on, prune again: in `rounds` rounds, each of which removes the same part of what is left.

    With `rewind_step` every round also sets all trainable weights, except the pruned ones, back to their values after
    that step: iterative magnitude pruning with rewinding, which finds "winning tickets" (Frankle & Carbin 2019,
    https://arxiv.org/abs/1803.03635; step 0 is the initialization, Frankle et al. 2020,
    https://arxiv.org/abs/1912.05671, advise a few hundred steps). Give the optimizer a learning rate that restarts
    with each round (`keras.optimizers.schedules.CosineDecayRestarts`): the optimizer's state is not rewound.

    `1 - sparsity = (1 - final) ** (round / rounds)`, the first round at `begin_step`, the last at `end_step`.

    Args:
        final_sparsity: fraction of zeros from `end_step` on, a float in [0, 1).
        begin_step: optimizer step of the first round; train up to it, and as long between rounds.
        end_step: optimizer step of the last round. Train as long again after it.
        rounds: how many rounds, 2 at least.
        rewind_step: optimizer step, before `begin_step`, whose weights are restored; None to go on with the current
            ones.

    Raises:
        ValueError: a value is out of range.
        TypeError: an argument is not a number, or a step is not an integer.

    >>> from tfopt.pruning import Iterative
    >>> schedule = Iterative(0.75, begin_step=100, end_step=200, rounds=2, rewind_step=0)
    >>> [schedule(step) for step in (0, 99, 100, 199, 200, 1000)]
    [0.0, 0.0, 0.5, 0.5, 0.75, 0.75]
    """

    final_sparsity: float
    begin_step: int
    end_step: int
    rounds: int = 5
    rewind_step: int | None = None

    def __post_init__(self) -> None:
        check_sparsity(self, "final_sparsity")
        check_integer(self, "begin_step", minimum=0)
        check_integer(self, "end_step", minimum=1)
        check_integer(self, "rounds", minimum=2, way_out="To prune in a single round use OneShot.")
        check_after(self, "end_step", "begin_step", "To prune in a single round use OneShot.")
        _check_rewind(self, "begin_step")

    @property
    def frequency(self) -> int:  # type: ignore[override]
        """Every step is checked; `ramp` changes only where a round begins."""
        return 1

    @property
    def rewinds_to(self) -> int | None:
        """`rewind_step`."""
        return self.rewind_step

    def ramp(self, progress: float) -> float:
        """The sparsity of the round that `progress` in [0, 1] falls into."""
        done = int(progress * (self.rounds - 1) + 1e-9) + 1
        if done == self.rounds:
            return self.final_sparsity
        return 1.0 - (1.0 - self.final_sparsity) ** (done / self.rounds)


def _check_rewind(schedule: Any, before: str) -> None:
    if schedule.rewind_step is None:
        return
    check_integer(schedule, "rewind_step", minimum=0)
    limit = getattr(schedule, before)
    if schedule.rewind_step > limit:
        raise ValueError(
            sentence(schedule, "rewind_step", f"at most {before}={limit}", "0 rewinds to the beginning.")
        )
