"""Scores of units from the weights of a group, and masks of weights from those of units."""

import functools
from collections.abc import Callable
from typing import Any

import numpy as np
from keras import ops

from tfopt.pruning._backend import compiled
from tfopt.pruning._criteria import Criterion
from tfopt.pruning._group import Group, Member

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
        parts = []
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
            pooled = ops.cast(pattern.pool(scores), "float32")
            parts.append(pooled if len(layouts) == 1 else share * pooled)
        return parts[0] if len(parts) == 1 else sum(parts[1:], parts[0])

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


def spread(group: Group, member: Member, units: Any) -> Any:
    """The mask of one weight from the mask of its group's units."""
    if group.plain and isinstance(units, np.ndarray):
        return units.reshape(member.layout.shape)
    return compiled(_spreader(group.pattern, member.layout))(units)


@functools.lru_cache(maxsize=1024)
def _spreader(pattern: Any, layout: Any) -> Callable[[Any], Any]:
    return lambda units: layout.from_matrix(pattern.spread(units, layout.matrix_shape))
