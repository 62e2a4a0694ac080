"""What the weights of a shape may become: the front of all sums, and what each of them costs."""

from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from tfopt.budgets._budgets import BUDGETS
from tfopt.budgets._front import front
from tfopt.budgets._options import Option, Prices

# The parts of limits that costs are counted in, where there are several budgets.
_UNITS = 1_000_000


class Weights:
    """Sums of one option for each layer, of which none is both cheaper and less damaging.

    Args:
        layers: for each layer the damage of each option.
        prices: what each option of a layer costs, in the whole model.
        parts: of each kernel of the whole model, the part that the shape has.
        limits: of the budgets of weights; None for none.
        fixed: layers that are taken apart, whose factors stay of 8 bits.
    """

    def __init__(
        self,
        layers: Mapping[str, Mapping[Option, float]],
        prices: Prices,
        parts: Mapping[str, float],
        limits: Mapping[str, float | None],
        fixed: frozenset[str] = frozenset(),
    ) -> None:
        self.paths = list(layers)
        plain = {path: [max(options)] if path in fixed else list(options) for path, options in layers.items()}
        self.options, self.fixed = plain, fixed
        paid = {
            name: [
                [round(prices.paid[path, one.name][name] * parts.get(path, 1.0)) for one in plain[path]]
                for path in self.paths
            ]
            for name in limits
        }
        damages = [[max(layers[path][one], 0.0) for one in plain[path]] for path in self.paths]
        joint = _joint(paid, limits, damages)
        sums = front(
            [list(zip(costs, losses, strict=True)) for costs, losses in zip(joint, damages, strict=True)]
        )
        self.picks = np.array([one.picks for one in sums])
        self.damages = np.array([one.damage for one in sums])
        size = sum(prices.sizes[path] * parts.get(path, 1.0) for path in self.paths)
        self.costs = {
            name: self._total(rows) / (size if BUDGETS[name].averaged else 1) for name, rows in paid.items()
        }

    def _total(self, rows: Sequence[Sequence[float]]) -> np.ndarray:
        return np.sum(
            [np.array(row)[self.picks[:, at]] for at, row in enumerate(rows)], axis=0, dtype="float64"
        )

    def choices(self, number: int) -> Iterator[tuple[str, Option]]:
        """The option of each layer of a sum; of those that are taken apart there is none."""
        for path, pick in zip(self.paths, self.picks[number], strict=True):
            if path not in self.fixed:
                yield path, self.options[path][pick]


def _joint(
    paid: Mapping[str, Sequence[Sequence[int]]],
    limits: Mapping[str, float | None],
    damages: Sequence[Sequence[float]],
) -> Sequence[Sequence[int]]:
    """The costs of one budget; of several the sum of their parts of the limits."""
    if len(paid) == 1:
        return next(iter(paid.values()))
    return [
        [
            round(sum(_UNITS * paid[name][at][n] / (limits[name] or 1) for name in paid))
            for n in range(len(row))
        ]
        for at, row in enumerate(damages)
    ]
