"""Regrowth: masks that change at constant sparsity, so that weights that were dropped too early come back."""

import dataclasses
import math
import numbers
from typing import Any, ClassVar

import keras

from tfopt.pruning._checks import check_integer, check_number


class Regrowth:
    """Base of the ways to regrow: when masks change, until they stand for good.

    Attributes:
        end_step: optimizer step from which masks stay as they are.
        frequency: optimizer steps between two changes.
        needs: what chooses the units that grow reads: `gradient` (of samples) or `noise`; None: all units are chosen
            anew, by the criterion of Pruning.
        decay: part of a pruned weight that each optimizer step takes off it, out of sight; None: pruned weights do not
            move.
    """

    end_step: int
    frequency: int
    needs: ClassVar[str | None] = None
    decay: float | None = None

    def turn(self, step: int) -> int:
        """How many times masks have changed up to `step`; new ones are due when this number changes."""
        return min(step, self.end_step - 1) // self.frequency

    def get_config(self) -> dict[str, Any]:
        """Every constructor argument by name."""
        return dict(vars(self))

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> "Regrowth":
        """The object that `get_config` described."""
        return cls(**config)

    def __post_init__(self) -> None:
        check_integer(self, "end_step", minimum=1)
        check_integer(self, "frequency", minimum=1)


@dataclasses.dataclass(frozen=True)
class Exchange(Regrowth):
    """Base of those that replace a part of the active weights, a part that falls on a cosine."""

    end_step: int
    drop_fraction: float = 0.3
    frequency: int = 100
    needs: ClassVar[str | None] = "gradient"

    def __call__(self, step: int) -> float:
        """The part of the active weights that is replaced at `step`: `drop_fraction`, on a cosine down to 0."""
        if not 0 < step < self.end_step:
            return 0.0
        return self.drop_fraction / 2.0 * (1.0 + math.cos(math.pi * step / self.end_step))

    def __post_init__(self) -> None:
        super().__post_init__()
        valid, way_out = (lambda x: 0 < x < 1), "The usual one is 0.3."
        check_number(self, "drop_fraction", numbers.Real, valid, "a float in (0, 1)", way_out)


@keras.saving.register_keras_serializable(package="tfopt")
@dataclasses.dataclass(frozen=True)
class RigL(Exchange):
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
class SET(Exchange):
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


@keras.saving.register_keras_serializable(package="tfopt")
@dataclasses.dataclass(frozen=True)
class SRSTE(Regrowth):
    """Pruned weights go on moving out of sight, and every `frequency` steps masks are made anew from all of them.

    Zhou et al. (2021), "Learning N:M fine-grained structured sparse neural networks from scratch",
    https://arxiv.org/abs/2102.04010: the layer computes with the masked weight `m * w`, its gradient moves all of `w`
    as if there were no mask (straight-through), and what is masked decays, so that masks settle:

    `w <- w - update(gradient at m * w) - decay * (1 - m) * w`

    The only regrowth that keeps groups of `"N:M"` whole; it suits `ConstantSparsity` and rising schedules, which then
    choose among all weights too. Needs no data, and a float for each pruned weight while `fit` runs. A run that is
    resumed begins with pruned weights of zero.

    Args:
        end_step: optimizer step from which masks stay as they are; leave the last quarter of training to them.
        frequency: optimizer steps between two makings of masks; the paper's is 1.
        decay: part of a pruned weight that each optimizer step takes off it: the paper's 2e-4 times its learning rate
            of 0.1 by default.

    Raises:
        ValueError: a value is out of range.
        TypeError: an argument is not a number, or a step is not an integer.

    >>> import keras, numpy as np, tfopt
    >>> keras.utils.set_random_seed(0)
    >>> model = keras.Sequential([keras.Input((16,)), keras.layers.Dense(10, name="head")])
    >>> model.compile(keras.optimizers.SGD(0.1), "mse")
    >>> x = np.random.default_rng(0).normal(size=(64, 16)).astype("float32")
    >>> pruning = tfopt.Pruning(
    ...     tfopt.ConstantSparsity(0.5), pattern="2:4", regrowth=tfopt.pruning.SRSTE(end_step=6, frequency=2)
    ... )
    >>> history = model.fit(x, x[:, :10], batch_size=8, epochs=1, callbacks=[pruning], verbose=0)
    >>> history.history["sparsity"], history.history["mask_change"][0] > 0.5
    ([0.5], True)
    """

    end_step: int
    frequency: int = 100
    decay: float = 2e-5

    def __post_init__(self) -> None:
        super().__post_init__()
        valid, way_out = (lambda x: 0 <= x < 1), "The usual one is 2e-5."
        check_number(self, "decay", numbers.Real, valid, "a float in [0, 1)", way_out)
