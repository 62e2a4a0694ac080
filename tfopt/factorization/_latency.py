"""Ranks for so many milliseconds: layers alone say which ranks are faster, whole models how fast they are."""

from collections.abc import Callable, Sequence

import keras

from tfopt._progress import progress
from tfopt.factorization._parts import Factors
from tfopt.factorization._select import Ranks, by_energy, largest_within

LatencyOf = Callable[[keras.Model], float]
# Whole models that are measured until one is fast enough, and how finely energies are told apart: a layer is measured
# at the ranks of each that is tried.
_MODELS, _FINE = 6, 0.02


class LayerTimes:
    """Milliseconds of layers alone, each measured once at some ranks.

    Args:
        latency_of: from a float model to milliseconds.
    """

    def __init__(self, latency_of: LatencyOf) -> None:
        self.latency_of = latency_of
        self.found: dict[tuple[int, Ranks | None], float] = {}

    def of(self, layer: Factors, ranks: Ranks | None) -> float:
        """Those of a layer, once for each call of it."""
        key = id(layer), ranks
        if key not in self.found:
            calls = (layer, *layer.others)
            self.found[key] = sum(self.latency_of(call.alone(ranks)) for call in calls)
        return self.found[key]

    def faster(self, layer: Factors, ranks: Ranks | None) -> Ranks | None:
        """The ranks, where the layer is faster with them than without."""
        return ranks if ranks is not None and self.of(layer, ranks) < self.of(layer, None) else None


def within_latency(
    factors: Sequence[Factors],
    budget: float,
    latency_of: LatencyOf,
    build: Callable[[Sequence[Ranks | None]], keras.Model],
) -> list[Ranks | None]:
    """The ranks of the largest energy, the same for all layers, at which a model is fast enough, as measured.

    Args:
        factors: the layers.
        budget: milliseconds.
        latency_of: from a float model to milliseconds.
        build: the model of some ranks.

    Raises:
        ValueError: no model that was measured is fast enough.
    """
    times = LayerTimes(latency_of)
    whole: list[Ranks | None] = [None] * len(factors)

    def chosen(energy: float) -> list[Ranks | None]:
        ranks = by_energy(factors, energy, "params")
        return [times.faster(layer, one) for layer, one in zip(factors, ranks, strict=True)]

    def alone(ranks: Sequence[Ranks | None]) -> float:
        return sum(times.of(layer, one) for layer, one in zip(factors, ranks, strict=True))

    with progress("Measuring", None):
        found, least = whole, latency_of(build(whole))
        for _ in range(_MODELS):
            if least <= budget:
                break
            # A model takes more than its layers alone: what is besides and between them.
            left = budget - (least - alone(found))
            ranks = chosen(largest_within(lambda energy: alone(chosen(energy)), left, _FINE) or 0.0)
            if ranks == found:
                break
            found, least = ranks, latency_of(build(ranks))
    if least <= budget:
        return found
    raise ValueError(
        f"The 'latency' argument must be at least about {least:.4g} ms, what the last model that was tried takes. Got "
        f"{budget:.4g} ms. Raise it, or shrink the model first."
    )
