"""Ever narrower shapes of a model, each made from the one before by the move that loses least for what it saves."""

import dataclasses
import heapq
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import keras

from tfopt.analysis import Judge, parts
from tfopt.budgets._layer_costs import Cost
from tfopt.budgets._shapes import Move, Shape, without_structure_warning

# Shapes are foreseen, not measured: some are kept that are cheaper than asked for, down to this part of a limit.
_MARGIN = 0.7
_BATCH = 64
# A loss that falls is as good as one that stays.
_LEAST = 1e-6


@dataclasses.dataclass(frozen=True, eq=False)
class Narrowed:
    """A shape and what it comes to.

    Attributes:
        shape: the shape.
        model: the float model of it.
        costs: by budget of shapes, and its `"params"`.
        damage: by how much the mean loss has grown, without training.
    """

    shape: Shape
    model: keras.Model
    costs: Cost
    damage: float


def mean_loss(model: keras.Model, x: Any, judge: Judge) -> float:
    """The mean loss of a float model."""
    total, number = 0.0, 0
    for inputs, labels in parts(x, judge.labels, _BATCH):
        with without_structure_warning():
            outputs = keras.tree.flatten(model(inputs, training=False))
        size = int(outputs[0].shape[0])
        total, number = total + size * float(judge.loss(labels, outputs)), number + size
    return total / number


def narrow(
    model: keras.Model,
    moves: Sequence[Move],
    cost: Callable[[keras.Model], Cost],
    loss: Callable[[keras.Model], float],
    x: Any,
    limits: Mapping[str, float],
    start: Shape | None = None,
) -> list[Narrowed]:
    """The whole model, and shapes of it until one is well below every limit, or nothing is left to narrow.

    Greedy by loss for cost saved (Dantzig 1957, "Discrete-variable extremum problems"), each looked at again only when
    it comes first (Minoux 1978, "Accelerated greedy algorithms"): a move saves ever less the narrower its neighbours
    are.

    Args:
        model: the whole model.
        moves: what may become narrower.
        cost: of a float model, by budget.
        loss: of a float model.
        x: inputs, for the statistics of batch norms.
        limits: what costs may be; empty to go on to the end, by parameters.
        start: a shape to begin with in place of the whole model.
    """
    start = start or Shape()
    exact = loss(model) if moves or start != Shape() else 0.0

    def made(shape: Shape) -> Narrowed:
        small = shape.make(model, x)
        costs = {**cost(small), "params": float(small.count_params())}
        return Narrowed(shape, small, costs, loss(small) - exact)

    if start == Shape():
        path = [Narrowed(start, model, {**cost(model), "params": float(model.count_params())}, 0.0)]
    else:
        path = [made(start)]
    queue = [(0.0, number) for number in range(len(moves))]
    while queue and (not limits or _over(path[-1].costs, limits, _MARGIN)):
        now, tried = path[-1], {}
        while queue and queue[0][1] not in tried:
            _, number = heapq.heappop(queue)
            found = _next(now, moves[number], made, limits)
            if found is not None:
                tried[number], score = found
                heapq.heappush(queue, (score, number))
        if not queue:
            break
        path.append(tried[queue[0][1]])
    return path


def _over(costs: Cost, limits: Mapping[str, float], part: float = 1.0) -> dict[str, float]:
    return {name: most for name, most in limits.items() if costs[name] > part * most}


def _next(
    now: Narrowed, move: Move, made: Callable[[Shape], Narrowed], limits: Mapping[str, float]
) -> tuple[Narrowed, float] | None:
    """The first step of a move that saves anything, and what it loses for that; None where none does."""
    # All that still costs too much counts; behind the limits, all of them.
    counted = _over(now.costs, limits) or limits or {"params": now.costs["params"]}
    shape = now.shape
    while (value := move.following(shape)) is not None:
        shape = move.apply(shape, value)
        found = made(shape)
        saved = sum((now.costs[name] - found.costs[name]) / most for name, most in counted.items())
        if saved > 0:
            return found, max(found.damage - now.damage, _LEAST) / saved
    return None
