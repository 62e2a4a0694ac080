"""Selection in NumPy: how many units each group loses, and which."""

from collections.abc import Sequence

import numpy as np

from tfopt._host_ops import array_of
from tfopt.pruning._budgets import Bounds, bounds_for, erk_zeros, limits
from tfopt.pruning._criteria import Criterion
from tfopt.pruning._group import Group
from tfopt.pruning._host import host_ranks, lowest_of, lowest_units, magnitude_ranks, share
from tfopt.pruning._scores import Statistics, unit_scores


def choose_on_host(
    groups: Sequence[Group],
    criterion: Criterion,
    statistics: Statistics,
    sparsity: float,
    scope: str,
    bounds: Bounds,
) -> list[np.ndarray]:
    """A mask of units for each group, whose zeros add up to the target: True where the unit is kept."""
    plain = criterion.by_magnitude and all(group.plain for group in groups)
    curve = criterion.curve if plain else None
    if scope != "global":
        counts = zeros_of(groups, sparsity, scope)
        return [
            ~_lowest(group, _ranks(group, None if plain else criterion, statistics), count)
            for group, count in zip(groups, counts, strict=True)
        ]
    ranks = [_ranks(group, None if plain else criterion, statistics) for group in groups]
    pairs = [limits_of(group, sparsity, bounds) for group in groups]
    zeros = sum(group.zeros(sparsity) for group in groups)
    zeros = min(max(zeros, sum(low for low, _ in pairs)), sum(high for _, high in pairs))
    if all(group.sizes is None for group in groups):
        counts = share(ranks, zeros, pairs, curve)
        return [~lowest_of(one, count) for one, count in zip(ranks, counts, strict=True)]
    return _units_of_all(groups, ranks, zeros, pairs)


def _units_of_all(
    groups: Sequence[Group], ranks: Sequence[np.ndarray], zeros: int, pairs: Sequence[tuple[int, int]]
) -> list[np.ndarray]:
    """One threshold over the units of all groups; each still loses its lower bound, and no more than its upper."""
    ends, ranked, spared = np.iinfo("int32"), [], []
    for group, one, (low, high) in zip(groups, ranks, pairs, strict=True):
        spared.append(~_lowest(group, one, high))
        forced = np.where(_lowest(group, one, low), ends.min, one) if low else one
        ranked.append(np.where(spared[-1], ends.max, forced))
    sizes = [
        np.ones(len(one), "int32") if group.sizes is None else group.sizes
        for group, one in zip(groups, ranked, strict=True)
    ]
    chosen = lowest_units(np.concatenate(ranked), np.concatenate(sizes), zeros)
    parts = np.split(chosen, np.cumsum([len(one) for one in ranked])[:-1])
    # Units are removed as a whole, so a rest of the budget may remain when all others are protected by bounds.
    return [keep | ~part for keep, part in zip(spared, parts, strict=True)]


def _ranks(group: Group, criterion: Criterion | None, statistics: Statistics) -> np.ndarray:
    """What is compared in a group: its units' scores, or without a criterion the magnitudes of its weights."""
    if criterion is None:
        return magnitude_ranks(array_of(group.kernels[0].variable))
    return host_ranks(np.asarray(unit_scores(group, criterion, statistics)))


def _lowest(group: Group, ranks: np.ndarray, zeros: int) -> np.ndarray:
    sizes = group.sizes
    return lowest_of(ranks, zeros) if sizes is None else lowest_units(ranks, sizes, zeros)


def zeros_of(groups: Sequence[Group], sparsity: float, scope: str) -> list[int]:
    """How many weights of each group are zero where the scope is not global."""
    if scope != "erk":
        return [group.zeros(sparsity) for group in groups]
    if not sparsity:
        return [0] * len(groups)
    return erk_zeros([group.shape for group in groups], [group.limit for group in groups], sparsity)


def limits_of(group: Group, sparsity: float, bounds: Bounds) -> tuple[int, int]:
    """The fewest and the most zeros of a group where the scope is global."""
    pair = bounds_for(bounds, group.kernels[0].variable.path)
    return limits(pair, sparsity, group.size, group.limit)
