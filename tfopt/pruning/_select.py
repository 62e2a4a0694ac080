"""Selection: masks of units from the weights of all groups, on the host or in graphs on the device."""

from collections.abc import Sequence
from typing import Any

from keras import ops

from tfopt.pruning._backend import compiled, is_on_host
from tfopt.pruning._budgets import Bounds
from tfopt.pruning._criteria import Criterion
from tfopt.pruning._group import Group
from tfopt.pruning._masks import unit_mask, unstructured_mask
from tfopt.pruning._scores import Statistics, unit_scores
from tfopt.pruning._select_on_host import choose_on_host, limits_of, zeros_of


def choose_units(
    groups: Sequence[Group],
    criterion: Criterion,
    statistics: Statistics,
    sparsity: float,
    scope: str,
    bounds: Bounds,
) -> list[Any]:
    """A mask of units for each group, whose zeros add up to the target: True where the unit is kept."""
    if is_on_host():
        return choose_on_host(groups, criterion, statistics, sparsity, scope, bounds)
    scores = [unit_scores(group, criterion, statistics) for group in groups]
    if scope == "global":
        return _global(groups, scores, sparsity, bounds)
    counts = zeros_of(groups, sparsity, scope)
    return [_lowest(group, one, count) for group, one, count in zip(groups, scores, counts, strict=True)]


def _lowest(group: Group, scores: Any, zeros: int) -> Any:
    count = ops.convert_to_tensor(zeros, "int32")
    if group.sizes is None:
        return compiled(unstructured_mask)(scores, count)
    return compiled(unit_mask)(scores, ops.convert_to_tensor(group.sizes), count)


def _global(groups: Sequence[Group], scores: Sequence[Any], sparsity: float, bounds: Bounds) -> list[Any]:
    """One threshold over all groups; each group still removes its lower bound, and never more than its upper bound."""
    ranked, spared, least, most = [], [], 0, 0
    for group, one in zip(groups, scores, strict=True):
        low, high = limits_of(group, sparsity, bounds)
        if low:
            one = ops.where(_lowest(group, one, low), one, float("-inf"))
        spared.append(_lowest(group, one, high))
        ranked.append(ops.where(spared[-1], float("inf"), one))
        least, most = least + low, most + high
    zeros = min(max(sum(group.zeros(sparsity) for group in groups), least), most)
    sizes = [
        ops.ones(one.shape, "int32") if group.sizes is None else ops.convert_to_tensor(group.sizes)
        for group, one in zip(groups, ranked, strict=True)
    ]
    together = compiled(unit_mask)(
        ops.concatenate(ranked), ops.concatenate(sizes), ops.convert_to_tensor(zeros, "int32")
    )
    masks, start = [], 0
    for keep in spared:
        # Units are removed as a whole, so a rest of the budget may remain when all others are protected by bounds.
        masks.append(ops.logical_or(keep, together[start : start + keep.shape[0]]))
        start += keep.shape[0]
    return masks
