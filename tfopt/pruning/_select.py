"""Selection: masks of units from the weights of all groups, on the device."""

import functools
from collections.abc import Callable, Sequence
from typing import Any

from keras import ops

from tfopt.pruning._backend import compiled
from tfopt.pruning._budgets import Bounds, bounds_for, erk_zeros, limits
from tfopt.pruning._criteria import Criterion
from tfopt.pruning._group import Group, Member
from tfopt.pruning._masks import unit_mask, unstructured_mask

# For each member, by `id(member)`: what criteria need besides the weight, by name.
Statistics = dict[int, dict[str, Any]]


def unit_scores(group: Group, criterion: Criterion, statistics: Statistics) -> Any:
    """One float32 score per unit of a group: the mean over the unit's weights."""
    layouts = tuple(member.layout for member in group.kernels)
    function = _scorer(group.pattern, layouts, criterion.function, criterion.needs)
    weights = [ops.convert_to_tensor(member.variable) for member in group.kernels]
    extra = [statistics[id(member)][name] for member in group.kernels for name in criterion.needs]
    return compiled(function)(*weights, *extra)


@functools.lru_cache(maxsize=1024)
def _scorer(
    pattern: Any, layouts: tuple[Any, ...], function: Callable[..., Any], needs: tuple[str, ...]
) -> Callable[..., Any]:
    shares = [len_of(layout) / sum(map(len_of, layouts)) for layout in layouts]

    def score(*tensors: Any) -> Any:
        total = 0.0
        for index, (layout, share) in enumerate(zip(layouts, shares, strict=True)):
            weight = tensors[index]
            if needs:
                first = len(layouts) + index * len(needs)
                extra = dict(zip(needs, tensors[first : first + len(needs)], strict=True))
                scores = function(layout.to_matrix(weight), **extra)
            else:
                scores = function(weight)
                _check_shape(scores, layout.shape)
                scores = layout.to_matrix(scores)
            total = total + share * ops.cast(pattern.pool(scores), "float32")
        return total

    return score


def len_of(layout: Any) -> int:
    """How many weights a layout has."""
    positions, inputs, outputs = layout.matrix_shape
    return positions * inputs * outputs


def _check_shape(scores: Any, shape: tuple[int, ...]) -> None:
    if tuple(scores.shape) != shape:
        raise ValueError(
            "The 'criterion' argument of Pruning must be a function that returns scores of its argument's shape, "
            f"{shape}. Got shape {tuple(scores.shape)} instead. If you have one score per channel, broadcast it."
        )


def select_units(
    groups: Sequence[Group], scores: Sequence[Any], sparsity: float, scope: str, bounds: Bounds
) -> list[Any]:
    """A mask of units for each group, whose zeros add up to the target."""
    if scope == "global":
        return _global(groups, scores, sparsity, bounds)
    if scope == "erk":
        shapes = [group.shape for group in groups]
        zeros = (
            erk_zeros(shapes, [group.limit for group in groups], sparsity) if sparsity else [0] * len(shapes)
        )
    else:
        zeros = [group.zeros(sparsity) for group in groups]
    return [_lowest(group, one, count) for group, one, count in zip(groups, scores, zeros, strict=True)]


def _lowest(group: Group, scores: Any, zeros: int) -> Any:
    count = ops.convert_to_tensor(zeros, "int32")
    if group.sizes is None:
        return compiled(unstructured_mask)(scores, count)
    return compiled(unit_mask)(scores, ops.convert_to_tensor(group.sizes), count)


def _global(groups: Sequence[Group], scores: Sequence[Any], sparsity: float, bounds: Bounds) -> list[Any]:
    """One threshold over all groups; each group still removes its lower bound, and never more than its upper bound."""
    ranked, spared, least, most = [], [], 0, 0
    for group, one in zip(groups, scores, strict=True):
        pair = bounds_for(bounds, group.kernels[0].variable.path)
        low, high = limits(pair, sparsity, group.size, group.limit)
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


def spread(group: Group, member: Member, units: Any) -> Any:
    """The mask of one weight from the mask of its group's units."""
    return compiled(_spreader(group.pattern, member.layout))(units)


@functools.lru_cache(maxsize=1024)
def _spreader(pattern: Any, layout: Any) -> Callable[[Any], Any]:
    return lambda units: layout.from_matrix(pattern.spread(units, layout.matrix_shape))
