"""Regrowth: masks that change at constant sparsity, so that weights that were dropped too early come back."""

import dataclasses
import math
import numbers
from typing import Any, ClassVar

import keras

from tfopt.pruning._checks import check_integer, check_number


@dataclasses.dataclass(frozen=True)
class Regrowth:
    """Base of the ways to regrow: when, how much, and by which score units become active again."""

    end_step: int
    drop_fraction: float = 0.3
    frequency: int = 100

    # What `grow` needs besides the shape: `gradient` (reads samples) or `noise`.
    needs: ClassVar[str] = "gradient"

    def __call__(self, step: int) -> float:
        """The part of the active weights that is replaced at `step`: `drop_fraction`, on a cosine down to 0."""
        if not 0 < step < self.end_step:
            return 0.0
        return self.drop_fraction / 2.0 * (1.0 + math.cos(math.pi * step / self.end_step))

    def turn(self, step: int) -> int:
        """How many times masks have changed up to `step`; new ones are due when this number changes."""
        return min(step, self.end_step - 1) // self.frequency

    def get_config(self) -> dict[str, Any]:
        """Every constructor argument by name."""
        return dataclasses.asdict(self)

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> "Regrowth":
        """The object that `get_config` described."""
        return cls(**config)

    def __post_init__(self) -> None:
        check_integer(self, "end_step", minimum=1)
        check_integer(self, "frequency", minimum=1)
        valid, way_out = (lambda x: 0 < x < 1), "The usual one is 0.3."
        check_number(self, "drop_fraction", numbers.Real, valid, "a float in (0, 1)", way_out)


@keras.saving.register_keras_serializable(package="tfopt")
@dataclasses.dataclass(frozen=True)
class RigL(Regrowth):
    """Every `frequency` steps the lowest weights are replaced by those whose gradient is largest.

    Trains a sparse network from scratch, at constant sparsity, often as good as a dense one that is pruned. Evci et
    al. (2020), "Rigging the lottery", https://arxiv.org/abs/1911.11134, algorithm 1. At step `t` the part

    `drop_fraction / 2 * (1 + cos(pi * t / end_step))`

    of each layer's active weights is exchanged. Weights that grow begin at zero. `Pruning` needs `data=` for the
    gradient. Use it with `ConstantSparsity` and `scope="erk"`, the paper's better budget; stop at about three
    quarters of the training.

    Args:
        end_step: optimizer step from which masks stay as they are.
        drop_fraction: the part that is exchanged at first, a float in (0, 1).
        frequency: optimizer steps between two exchanges.

    Raises:
        ValueError: a value is out of range.
        TypeError: an argument is not a number, or a step is not an integer.

    >>> from tfopt.pruning import RigL
    >>> [round(RigL(end_step=1000)(step), 3) for step in (100, 500, 900, 1000)]
    [0.293, 0.15, 0.007, 0.0]
    """


@keras.saving.register_keras_serializable(package="tfopt")
@dataclasses.dataclass(frozen=True)
class SET(Regrowth):
    """Every `frequency` steps the lowest weights are replaced by others, chosen at random.

    Mocanu et al. (2018), "Scalable training of artificial neural networks with adaptive sparse connectivity",
    https://arxiv.org/abs/1707.04780. It needs no gradients and no data, and is usually less accurate than `RigL`. The
    part that is exchanged decreases on the cosine of `RigL`, so that the two are comparable (the paper keeps it
    constant).

    Args:
        end_step: optimizer step from which masks stay as they are.
        drop_fraction: the part that is exchanged at first, a float in (0, 1).
        frequency: optimizer steps between two exchanges.

    Raises:
        ValueError: a value is out of range.
        TypeError: an argument is not a number, or a step is not an integer.

    >>> from tfopt.pruning import SET
    >>> SET(end_step=1000).turn(99), SET(end_step=1000).turn(100), SET(end_step=1000).turn(5000)
    (0, 1, 9)
    """

    needs = "noise"
