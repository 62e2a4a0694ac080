"""Schedules of the number of clusters: a function of the optimizer step."""

import dataclasses
import math
from typing import Any

import keras

# A negative value, zero and a positive one.
FEWEST = 3


@keras.saving.register_keras_serializable(package="tfopt")
@dataclasses.dataclass(frozen=True)
class HalvingClusters:
    """Ever fewer clusters: the number is halved in equal intervals, so that each step costs little and is recovered.

    `max(final, round(initial / 2 ** n))` after `n` of the `ceil(log2(initial / final))` intervals between `begin_step`
    and `end_step`; none before `begin_step`.

    Args:
        final_clusters: how many from `end_step` on, at least 3.
        end_step: optimizer step at which there are as few. Leave some steps after it.
        initial_clusters: how many at `begin_step`.
        begin_step: optimizer step at which clustering begins.

    Raises:
        ValueError: there are fewer than 3 clusters, or more in the end than at the start, or `end_step` is not after
            `begin_step`.

    >>> from tfopt.clustering import HalvingClusters
    >>> schedule = HalvingClusters(16, end_step=400, initial_clusters=128, begin_step=100)
    >>> [schedule(step) for step in (0, 99, 100, 200, 300, 400, 1000)]
    [None, None, 128, 64, 32, 16, 16]
    """

    final_clusters: int
    end_step: int
    initial_clusters: int = 128
    begin_step: int = 0

    def __post_init__(self) -> None:
        check_count("final_clusters", "HalvingClusters", self.final_clusters)
        if self.initial_clusters < self.final_clusters:
            raise ValueError(
                "The 'initial_clusters' argument of HalvingClusters must be at least "
                f"final_clusters={self.final_clusters}. Got {self.initial_clusters} instead."
            )
        if not 0 <= self.begin_step < self.end_step:
            raise ValueError(
                f"The 'end_step' argument of HalvingClusters must be above begin_step={self.begin_step}, which is "
                f">= 0. Got {self.end_step} instead. For one number throughout pass it to Clustering."
            )

    def __call__(self, step: int) -> int | None:
        """How many clusters there are after `step` optimizer steps; None for none."""
        if step < self.begin_step:
            return None
        halvings = math.ceil(math.log2(self.initial_clusters / self.final_clusters))
        done = halvings * min(step - self.begin_step, self.end_step - self.begin_step)
        done //= self.end_step - self.begin_step
        return max(self.final_clusters, round(self.initial_clusters / 2**done))

    def get_config(self) -> dict[str, Any]:
        """Every constructor argument by name."""
        return dataclasses.asdict(self)

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> "HalvingClusters":
        """The schedule that `get_config` described."""
        return cls(**config)


def check_count(argument: str, owner: str, count: Any) -> None:
    """Raise unless a number of clusters is a whole number of at least 3.

    Raises:
        TypeError: it is no whole number.
        ValueError: it is below 3: zero and the two ends of a grid are values of their own.
    """
    if not isinstance(count, int) or isinstance(count, bool):
        raise TypeError(
            f"The '{argument}' argument of {owner} must be a whole number. Got {count!r} instead. 16 take 4 bits each."
        )
    if count < FEWEST:
        raise ValueError(
            f"The '{argument}' argument of {owner} must be at least {FEWEST}: a negative value, zero, and a "
            f"positive one. Got {count} instead. For signs alone pass QuantConfig(weight_bits=1) to quantize."
        )
