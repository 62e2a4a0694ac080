"""Which units to keep: a ratio per group, the nonzero ones, or a global ranking under a budget."""

import math
from collections.abc import Callable, Mapping

import numpy as np

from tfopt.channels import Channels, Group
from tfopt.shrinking._counts import families

# Under a global budget a group keeps at least this part of its units, so that no layer becomes a bottleneck.
LEAST = 0.1


def keep_ratio(
    channels: Channels, scores: np.ndarray, ratio: float | Mapping[str, float], divisor: int = 8
) -> np.ndarray:
    """The best-scored part of each group.

    Args:
        channels: what `channel_groups` found.
        scores: a score per unit; the lowest are removed first, infinity never.
        ratio: part of the channels of each group to keep, in (0, 1]; or a part for single layers, by their paths:
            channels that several of them make get the smallest part, and those that none makes are all kept.
        divisor: each layer keeps the nearest multiple: at least one multiple, at most the current count. Where the
            channels of a layer are in several groups, the groups are rounded together; all are kept where no smaller
            numbers suit every layer.

    Returns:
        A bool array: which units are kept.

    >>> import keras
    >>> from tfopt.graph import capture
    >>> from tfopt.channels import channel_groups
    >>> from tfopt.shrinking import keep_ratio
    >>> layers = [keras.layers.Dense(32), keras.layers.Dense(1)]
    >>> channels = channel_groups(capture(keras.Sequential([keras.Input((1,)), *layers])))
    >>> int(keep_ratio(channels, np.arange(32.0), 0.4).sum())  # 12.8, to a multiple of 8
    16
    """

    def part(group: Group) -> float:
        if not isinstance(ratio, Mapping):
            return ratio
        return min((ratio[path] for path in group.makers if path in ratio), default=1.0)

    return _keep(channels, scores, divisor, lambda group: part(group) * len(group.units), lambda group: 1)


def keep_nonzero(channels: Channels, scores: np.ndarray, divisor: int = 8) -> np.ndarray:
    """All units except those that score 0, and as many of these as make multiples of `divisor`: a bool array."""

    def needed(group: Group) -> int:
        return max(1, int((scores[group.units] > 0).sum()))

    return _keep(channels, scores, divisor, needed, needed)


def _keep(
    channels: Channels,
    scores: np.ndarray,
    divisor: int,
    ideal: Callable[[Group], float],
    least: Callable[[Group], int],
) -> np.ndarray:
    kept = np.isinf(scores)
    for family in families(channels):
        wanted, low = [ideal(group) for group in family.groups], [least(group) for group in family.groups]
        counts = family.nearest(wanted, low, family.sizes, divisor) or family.sizes
        for group, count in zip(family.groups, counts, strict=True):
            order = np.argsort(-scores[group.units], kind="stable")
            kept[group.units[order[:count]]] = True
    return kept


def ranked_chunks(channels: Channels, scores: np.ndarray, divisor: int = 8) -> list[np.ndarray]:
    """Units in the order of removal under a global budget, in chunks that keep counts multiples of `divisor`.

    A chunk's score is the mean of its units'; within a family of groups chunks go from the lowest score up. A tenth
    of each group is in no chunk.
    """
    chunks: list[tuple[float, np.ndarray]] = []
    for family in families(channels):
        orders = [group.units[np.argsort(scores[group.units], kind="stable")] for group in family.groups]
        least = [
            max(1, math.ceil(LEAST * len(order)), int(np.isinf(scores[order]).sum())) for order in orders
        ]
        counts, worst, steps = family.sizes, -np.inf, family.steps(divisor)
        for step in range(1, steps):
            ideal = [max(size * (1 - step / steps), 1) for size in family.sizes]
            fewer = family.nearest(ideal, least, counts, divisor)
            if fewer is None or fewer == counts:
                continue
            # Of each group, those after the ones removed so far.
            spans = zip(orders, counts, fewer, strict=True)
            chunk = np.concatenate([order[len(order) - old : len(order) - new] for order, old, new in spans])
            worst, counts = max(worst, float(scores[chunk].mean())), fewer
            chunks.append((worst, chunk))
    return [chunk for _, chunk in sorted(chunks, key=lambda pair: pair[0])]


def per_saving(channels: Channels, scores: np.ndarray, cost: Callable[[np.ndarray], float]) -> np.ndarray:
    """Scores divided by what the units save: removing units in this order meets a budget at little loss.

    The greedy answer to a knapsack problem (Dantzig 1957, https://doi.org/10.1287/opre.5.2.266). Without it the cheap
    channels of late layers, each of which matters little, would all be removed before one of an early layer that costs
    ten times as much.

    Args:
        channels: what `channel_groups` found.
        scores: a score per unit that adds up over units, as a loss does.
        cost: `kept -> cost`; each unit of a group saves the same cost.

    Returns:
        A score per unit. Units that save nothing score infinity.

    >>> import keras
    >>> from tfopt.graph import capture
    >>> from tfopt.channels import channel_groups
    >>> from tfopt.shrinking import cost, per_saving
    >>> layers = [keras.layers.Dense(2), keras.layers.Dense(2), keras.layers.Dense(1)]
    >>> channels = channel_groups(capture(keras.Sequential([keras.Input((7,)), *layers])))
    >>> per_saving(channels, np.array([18.0, 9.0, 18.0, 9.0]), cost(channels, "macs"))  # 9 and 3 a unit
    array([2., 1., 6., 3.])
    """
    result = np.array(scores, "float64")
    every = np.ones(channels.count, bool)
    full = cost(every)
    for group in channels.groups:
        without = every.copy()
        without[group.units[0]] = False
        saved = full - cost(without)
        result[group.units] = result[group.units] / saved if saved > 0 else np.inf
    return result


def keep_within(
    channels: Channels,
    scores: np.ndarray,
    cost: Callable[[np.ndarray], float],
    budget: float,
    divisor: int = 8,
) -> np.ndarray:
    """As many units as a budget allows, the lowest-scored of all groups removed first.

    Bisection over the ranking: the cost is computed about log2(units) times.

    Args:
        channels: what `channel_groups` found.
        scores: a score per unit, comparable over groups.
        cost: `kept -> cost`; must not grow when units are removed.
        budget: the largest cost allowed, in the units of `cost`.
        divisor: channel counts are kept multiples of it, where they can be.

    Returns:
        A bool array: which units are kept.

    Raises:
        ValueError: the budget is below what is left when a tenth of every group remains.

    >>> import keras
    >>> from tfopt.graph import capture
    >>> from tfopt.channels import channel_groups
    >>> from tfopt.shrinking import keep_within
    >>> layers = [keras.layers.Dense(8), keras.layers.Dense(1)]
    >>> channels = channel_groups(capture(keras.Sequential([keras.Input((1,)), *layers])))
    >>> keep_within(channels, np.arange(8.0), lambda kept: 3 * kept.sum() + 1, 10, divisor=1).sum()
    np.int64(3)
    """
    chunks = ranked_chunks(channels, scores, divisor)

    def without(count: int) -> np.ndarray:
        kept = np.ones(channels.count, bool)
        for chunk in chunks[:count]:
            kept[chunk] = False
        return kept

    few, many = 0, len(chunks)
    if cost(without(0)) <= budget:
        return without(0)
    least = cost(without(many))
    if least > budget:
        raise ValueError(
            f"The budget must be at least {least:,.6g}, which is what a tenth of the channels costs. Got {budget:,.6g} "
            "instead. Raise it, lower 'divisor', or let 'where' select more layers."
        )
    while many - few > 1:
        middle = (few + many) // 2
        if cost(without(middle)) <= budget:
            many = middle
        else:
            few = middle
    return without(many)
