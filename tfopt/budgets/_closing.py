"""Gates that are closed: what was likeliest within the budget, and a model of just that."""

from collections.abc import Mapping, Sequence
from typing import Any

import keras
import numpy as np

from tfopt.budgets._budgets import BUDGETS, is_of_shapes
from tfopt.budgets._front import front
from tfopt.budgets._gated_model import GatedKernel, GatedModel
from tfopt.budgets._options import Prices
from tfopt.budgets._report import LayerChoice, Point
from tfopt.budgets._shapes import Shape, kernel_sizes
from tfopt.channels import Channels
from tfopt.shrinking import count_macs, score

# A gate this far open lets nothing else through, whatever the noise is.
_CLOSED = 100.0


def closed(
    gated: GatedModel, base: keras.Model, limits: Mapping[str, float], target: str, prices: Prices
) -> tuple[Point, dict[str, dict[Any, float]]]:
    """The likeliest choices within the budget, and how likely each is, by layer.

    Args:
        gated: the trained model.
        base: the model inside.
        limits: by budget.
        target: the runtime.
        prices: of its kernels.

    Raises:
        ValueError: nothing within the budget is left.
    """
    bits, widths = ([np.asarray(one) for one in several] for several in gated.gates(training=False))
    shape = _shape(gated, base, widths, limits)
    small = shape.make(base)
    sizes = kernel_sizes(small)
    parts = {one.path: sizes[one.path] / prices.sizes[one.path] for one in gated.kernels}
    names = [name for name in limits if not is_of_shapes(name)]
    weight_sum = sum(sizes[one.path] for one in gated.kernels)
    totals = {n: limits[n] * weight_sum if BUDGETS[n].averaged else limits[n] for n in names}

    def price(kernel: GatedKernel, at: int, name: str) -> float:
        return kernel.prices[name][at] * parts[kernel.path]

    choices = []
    for kernel, p in zip(gated.kernels, bits, strict=True):
        costs = [max((price(kernel, at, n) / totals[n] for n in names), default=0.0) for at in range(len(p))]
        choices.append(
            [(round(1e6 * cost), float(-np.log(q + 1e-9))) for cost, q in zip(costs, p, strict=True)]
        )
    fitting = [
        one
        for one in front(choices)
        if all(
            sum(price(k, at, n) for k, at in zip(gated.kernels, one.picks, strict=True)) <= totals[n]
            for n in names
        )
    ]
    if not fitting:
        raise ValueError(
            f"The 'budget' argument must be something that the space reaches. Got {dict(limits)}. Allow fewer bits or "
            "channels, or raise it."
        )
    best = min(fitting, key=lambda one: one.damage)
    layers = tuple(
        LayerChoice(kernel.path, kernel.bits[at])
        for kernel, at in zip(gated.kernels, best.picks, strict=True)
    )
    taken: dict[str, float] = {"macs": count_macs(small)} if "macs" in limits else {}
    for name in names:
        total = sum(price(k, at, name) for k, at in zip(gated.kernels, best.picks, strict=True))
        taken[name] = round(total / weight_sum, 4) if BUDGETS[name].averaged else round(total)
    shown: dict[str, dict[Any, float]] = {
        k.path: dict(zip(k.bits, map(float, p), strict=True))
        for k, p in zip(gated.kernels, bits, strict=True)
    }
    for move, p in zip(gated.moves, widths, strict=True):
        shown[f"channels of {move.name}"] = dict(zip((1.0, *move.values), map(float, p), strict=True))
    point = Point({name: taken[name] for name in limits}, 0.0, layers, target, dict(shape.channels), {})
    return point, shown


def width_picks(gated: GatedModel, point: Point) -> list[int]:
    """The number of each move's width in a point."""
    return [(1.0, *move.values).index(point.channels.get(move.layers[0], 1.0)) for move in gated.moves]


def effective_scores(channels: Channels, base: keras.Model) -> np.ndarray:
    """Magnitudes of units, times those of the gammas behind them: a batch norm undoes the scale of what it reads.

    Args:
        channels: the analysis of the model.
        base: the model.
    """
    scores = score(channels, "magnitude", base)
    for slot in channels.slots:
        if slot.weight.rsplit("/", 1)[-1] == "gamma":
            free = slot.units >= 0
            scores[slot.units[free]] *= np.abs(np.asarray(slot.variable))[free]
    return scores


def close(gated: GatedModel, point: Point) -> None:
    """Closes each gate on what a point says."""
    chosen = {one.path: one.bits for one in point.layers}
    picks = [kernel.bits.index(chosen[kernel.path]) for kernel in gated.kernels]
    pairs = zip([*gated.bit_gates, *gated.width_gates], [*picks, *width_picks(gated, point)], strict=True)
    for gate, pick in pairs:
        gate.assign(_CLOSED * np.eye(gate.shape[0], dtype="float32")[pick])


def zero_what_goes(gated: GatedModel, base: keras.Model, point: Point) -> None:
    """Makes the channels that a point does not have zero: magnitudes then say of them that they go first."""
    picks = zip(gated.moves, width_picks(gated, point), strict=True)
    parts = gated.widths.parts([np.eye(len(move.values) + 1, dtype="float32")[at] for move, at in picks])
    for variable in base.trainable_variables:
        variable.assign(gated.widths.masked(variable, variable.value, parts))


def _shape(
    gated: GatedModel, base: keras.Model, widths: Sequence[np.ndarray], limits: Mapping[str, float]
) -> Shape:
    """The likeliest widths; while these cost too much, the next one that is least unlikely is narrower."""
    picks = [int(p.argmax()) for p in widths]

    def made() -> Shape:
        shape = Shape()
        for move, pick in zip(gated.moves, picks, strict=True):
            shape = move.apply(shape, move.values[pick - 1]) if pick else shape
        return shape

    while "macs" in limits and count_macs(made().make(base)) > limits["macs"]:
        steps = [
            (float(np.log(p[pick] + 1e-9) - np.log(p[pick + 1] + 1e-9)), at)
            for at, (p, pick) in enumerate(zip(widths, picks, strict=True))
            if pick + 1 < len(p)
        ]
        if not steps:
            raise ValueError(
                f"The 'budget' argument must leave as many 'macs' as the narrowest model of the space has. Got "
                f"{limits['macs']:,}. Allow fewer channels, or raise it."
            )
        picks[min(steps)[1]] += 1
    return made()
