"""The search of a supernet: ever smaller subnets, until one is within a budget."""

from collections.abc import Mapping, Sequence
from typing import Any

from tfopt._samples import gather, some
from tfopt.analysis import judge_of
from tfopt.budgets._budgets import BUDGETS, check_limits
from tfopt.budgets._layer_costs import LayerCosts
from tfopt.budgets._narrowing import Narrowed, mean_loss, narrow
from tfopt.budgets._subnet_report import SubnetPoint, SubnetReport
from tfopt.budgets._subnet_shape import SubnetShape

# Files that are written until one is within the budget.
_FILES = 8
_ABLE = [name for name, row in BUDGETS.items() if row.exact or row.estimate or row.combine]


def search_subnets(
    supernet: Any, data: Any, budget: Mapping[str, float], target: str, samples: int
) -> SubnetReport:
    """See `Supernet.search`."""
    otherwise = "depends on bits and zeros. Give the subnet to tfopt.search."
    limits = check_limits(budget, target, "a supernet", _ABLE, otherwise)
    x, y = some(*gather(data, supernet.gated.inputs, "data"), samples)
    whole = supernet.subnet(SubnetShape())
    if supernet.compiled:
        whole.compile(loss=supernet.loss)
    judge = judge_of(whole, x, y)
    costs = LayerCosts(whole, limits, target)
    path = narrow(
        supernet, supernet.moves, costs.of, lambda one: mean_loss(one, x, judge), x, limits, SubnetShape()
    )
    best = _within(path, costs, limits)
    return SubnetReport(
        name=supernet.name,
        budget=limits,
        points=tuple(_point(one, one.costs, limits) for one in path),
        best=best,
    )


def _within(path: Sequence[Narrowed], costs: LayerCosts, limits: Mapping[str, float]) -> SubnetPoint | None:
    """The least damaging subnet that takes no more than the limits, as foreseen and then as measured."""
    left, rest = list(path), dict.fromkeys(limits, 0.0)
    best, taken, least = None, {}, float("inf")
    while left and len(path) - len(left) < _FILES:
        fitting = [
            one
            for one in left
            if one.damage < least and all(one.costs[n] + rest[n] <= most for n, most in limits.items())
        ]
        if not fitting and len(left) < len(path):
            break
        one = min(fitting, key=lambda one: one.damage, default=left[-1])
        left.remove(one)
        found = costs.measure(one.model)
        rest = {name: found[name] - one.costs[name] for name in limits}  # others are like this one
        if all(found[name] <= most for name, most in limits.items()):
            best, taken, least = one, found, one.damage
    return None if best is None else _point(best, taken, limits)


def _point(one: Narrowed, costs: Mapping[str, float], limits: Mapping[str, float]) -> SubnetPoint:
    taken = {name: int(costs[name]) if float(costs[name]).is_integer() else costs[name] for name in limits}
    return SubnetPoint(taken, round(one.damage, 6), one.shape)  # type: ignore[arg-type]
