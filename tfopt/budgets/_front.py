"""One choice for each layer, so that costs and damages add up to as little as they can: all such sums at once."""

import dataclasses
from collections.abc import Sequence

import numpy as np

# Sums that are kept after each layer; between two of them lies less than a thousandth of the whole cost.
_KEPT = 4096


@dataclasses.dataclass(frozen=True)
class Sum:
    """A choice for each layer.

    Attributes:
        cost: the sum of their costs.
        damage: the sum of their damages.
        picks: the number of each layer's choice.
    """

    cost: int
    damage: float
    picks: tuple[int, ...]


def front(choices: Sequence[Sequence[tuple[int, float]]]) -> list[Sum]:
    """The sums of which none is both cheaper and less damaging: the multiple-choice knapsack for every budget.

    Dynamic programming over the layers (Kellerer et al. 2004, "Knapsack problems", chapter 11): of the sums so far only
    those on the front can be part of one in the end. It is exact until there are more than 4,096, of which then so many
    are kept, spread over the costs; a kept sum is a real one, so that no budget is ever exceeded.

    Args:
        choices: for each layer the cost and the damage of each choice.

    Returns:
        The sums in the order of their costs.

    >>> from tfopt.budgets._front import front
    >>> [(one.cost, one.damage) for one in front([[(8, 0.0), (4, 1.0)], [(8, 0.0), (4, 0.25)]])]
    [(8, 1.25), (12, 0.25), (16, 0.0)]
    """
    costs, damages, picks = np.zeros(1, "int64"), np.zeros(1), np.zeros((1, 0), "int32")
    for layer in choices:
        own_costs, own_damages = np.array([c for c, _ in layer], "int64"), np.array([d for _, d in layer])
        new_costs = (costs[:, None] + own_costs).ravel()
        new_damages = (damages[:, None] + own_damages).ravel()
        order = np.lexsort((new_damages, new_costs))
        least = np.minimum.accumulate(new_damages[order])
        is_better = np.concatenate([[True], new_damages[order][1:] < least[:-1]])
        kept = _spread(order[is_better], new_costs)
        before, own = np.divmod(kept, len(layer))
        picks = np.concatenate([picks[before], own[:, None].astype("int32")], axis=1)
        costs, damages = new_costs[kept], new_damages[kept]
    return [
        Sum(int(cost), float(damage), tuple(map(int, row)))
        for cost, damage, row in zip(costs, damages, picks, strict=True)
    ]


def _spread(kept: np.ndarray, costs: np.ndarray) -> np.ndarray:
    """As many as memory is given for, spread evenly over the costs, both ends among them."""
    if len(kept) <= _KEPT:
        return kept
    wanted = np.linspace(costs[kept[0]], costs[kept[-1]], _KEPT)
    return kept[np.unique(np.searchsorted(costs[kept], wanted))]
