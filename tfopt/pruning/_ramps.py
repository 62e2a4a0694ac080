"""Schedules that raise the sparsity as PolynomialDecay does, on other curves."""

import dataclasses
import math

import keras

from tfopt.pruning._schedules import Ramp


@keras.saving.register_keras_serializable(package="tfopt")
@dataclasses.dataclass(frozen=True)
class CosineDecay(Ramp):
    """Sparsity that begins and ends gently, and grows fastest halfway.

    Use it where the first updates of `PolynomialDecay` remove too much at once, and with a cosine learning rate.
    The curve is that of Loshchilov & Hutter (2017), https://arxiv.org/abs/1608.03983, equation 5, applied to sparsity:

    `sparsity(p) = final + (initial - final) * (1 + cos(pi * p)) / 2`

    with `p` from 0 at `begin_step` to 1 at `end_step`.

    Args:
        final_sparsity: fraction of zeros from `end_step` on, a float in [0, 1).
        end_step: optimizer step at which `final_sparsity` is reached.
        initial_sparsity: fraction of zeros at `begin_step`, a float in [0, `final_sparsity`].
        begin_step: optimizer step at which pruning begins.
        frequency: optimizer steps between two updates of the masks.

    Raises:
        ValueError: a value is out of range, or `end_step` is not after `begin_step`.
        TypeError: an argument is not a number, or a step is not an integer.

    >>> from tfopt.pruning import CosineDecay
    >>> schedule = CosineDecay(final_sparsity=0.8, end_step=1000)
    >>> [round(schedule(step), 4) for step in (0, 100, 500, 1000, 5000)]
    [0.0, 0.0196, 0.4, 0.8, 0.8]
    """

    frequency: int = 100

    def ramp(self, progress: float) -> float:
        """The cosine at `progress` in [0, 1]."""
        gap = self.initial_sparsity - self.final_sparsity
        return self.final_sparsity + gap * (1.0 + math.cos(math.pi * progress)) / 2.0


@keras.saving.register_keras_serializable(package="tfopt")
@dataclasses.dataclass(frozen=True)
class ExponentialDecay(Ramp):
    """Every update removes the same part of the weights that are left.

    Use it for high sparsities, at which each further point of sparsity hurts more than the one before:

    `1 - sparsity(p) = (1 - initial) * ((1 - final) / (1 - initial)) ** p`

    with `p` from 0 at `begin_step` to 1 at `end_step`. Han et al. (2015), https://arxiv.org/abs/1506.02626, prune
    iteratively at such a rate.

    Args:
        final_sparsity: fraction of zeros from `end_step` on, a float in [0, 1).
        end_step: optimizer step at which `final_sparsity` is reached.
        initial_sparsity: fraction of zeros at `begin_step`, a float in [0, `final_sparsity`].
        begin_step: optimizer step at which pruning begins.
        frequency: optimizer steps between two updates of the masks.

    Raises:
        ValueError: a value is out of range, or `end_step` is not after `begin_step`.
        TypeError: an argument is not a number, or a step is not an integer.

    >>> from tfopt.pruning import ExponentialDecay
    >>> schedule = ExponentialDecay(final_sparsity=0.75, end_step=1000)
    >>> [round(schedule(step), 4) for step in (0, 500, 1000, 5000)]
    [0.0, 0.5, 0.75, 0.75]
    """

    frequency: int = 100

    def ramp(self, progress: float) -> float:
        """The curve at `progress` in [0, 1]."""
        if progress == 1.0:
            return self.final_sparsity  # exactly, without the rounding of the powers
        left = 1.0 - self.initial_sparsity
        return 1.0 - left * ((1.0 - self.final_sparsity) / left) ** progress
