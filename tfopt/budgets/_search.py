"""`search`: what each layer becomes, so that a file is within a budget and loses as little as it can."""

import time
from collections.abc import Mapping, Sequence
from typing import Any

import keras
import numpy as np

from tfopt._samples import gather, some
from tfopt.analysis import Damage, SensitivityReport, judge_of, sensitivity
from tfopt.budgets._budgets import BUDGETS, check_budget, is_of_shapes
from tfopt.budgets._candidates import Candidates
from tfopt.budgets._layer_costs import LayerCosts
from tfopt.budgets._narrowing import Narrowed, mean_loss, narrow
from tfopt.budgets._options import Option, Prices
from tfopt.budgets._report import SearchReport
from tfopt.budgets._shapes import kernel_sizes, moves_of, said_shape
from tfopt.budgets._space import allows, check_layers, check_paths, check_space, options_of, widened
from tfopt.budgets._weights import Weights
from tfopt.quantization import QuantConfig

# Points of the front that a report holds.
_POINTS = 24
_BY = ("loss", "fisher", "hessian")


def search(
    model: keras.Model,
    data: Any,
    budget: Mapping[str, float | None],
    space: Mapping[str, Sequence[float]] | None = None,
    *,
    layers: Mapping[str, Mapping[str, float]] | None = None,
    target: str = "litert",
    by: str = "loss",
    max_drop: float | None = None,
    samples: int = 256,
    metric: Any = None,
) -> SearchReport:
    """Finds what each layer becomes, so that a file is within a budget and loses as little as it can.

    The fast answer. Each option of the weights is tried in each layer alone (`sensitivity`), damages are added up, and
    the best sum for every budget follows (a multiple-choice knapsack). Where channels or ranks may be fewer, ever
    narrower models are made, each by the step that loses least for what it saves, and the sums go with each of them.
    Nothing is trained. Files of the best points are written and measured until one is within every limit. The same
    model and data give the same front, but where time is measured.

    Args:
        model: a built float Keras model. It is not changed.
        data: `(x, y)`, or inputs alone, in any form that `fit` takes.
        budget: one limit or several, `{"bytes": 100_000, "macs": 5_000_000}`:

            - `"bytes"`: the file as it is; `"compressed_bytes"`: with kernels that TFLite Micro decodes, as
              `export(..., compress=True)` writes them, for `target="tflm"`;
            - `"nonzeros"`: weights that are not zero; `"mean_bits"`: bits of a weight on average;
            - `"macs"`: multiply-accumulates;
            - `"latency"`: milliseconds of a call on the target's runtime, on this machine, by a table that is measured
              for each layer and width;
            - `"arena"`: bytes of memory that TFLite Micro works in; `"cycles"`: of an Ethos-U55-128, by Vela.

            None in place of a number of the first four means as little as `max_drop` allows.
        space: what a layer may become, each a list: `weight_bits`, `sparsity` and `n_clusters` (values that weights
            share; 0 for no clusters), by default 8, 6, 5, 4, 3 and 2 bits with no zeros, 50 % and 80 % under the first
            four budgets; `channels` and `rank` (parts that are left), by default all, three quarters, half and a
            quarter of the channels under the others.
        layers: what you have decided for single layers, by their paths: `{"head": {"weight_bits": 8}, "conv":
            {"channels": 0.5}}`. The search keeps it, and finds the rest.
        target: the runtime, as for `QuantConfig.for_target`.
        by: what stands for the damage of options of weights: `"loss"`, as it is measured, or a proxy: `"fisher"` or
            `"hessian"`, which take a fraction of the time.
        max_drop: where the budget has no number, what the metric may lose without training: points of a fraction,
            percent of an error. The point is the cheapest of the front whose quantized model loses no more on the data.
        samples: how many are used at most to find the front.
        metric: what `max_drop` is about, as for `sensitivity`.

    Returns:
        A `SearchReport`: the front, whose points each have a `recipe` for `compress`, and `best`, which
        `tfopt.budgets.apply_point` makes a model without training.

    Raises:
        ValueError: `budget`, `space`, `layers` or `by` is none of the above, the target has no such budget, or there is
            nothing to measure `max_drop` by.

    Example:

    >>> import keras, numpy as np, tfopt
    >>> layers = [keras.layers.Dense(64, activation="relu", name="a"), keras.layers.Dense(4, name="b")]
    >>> model = keras.Sequential([keras.Input((64,)), *layers])
    >>> x = np.random.default_rng(0).normal(size=(64, 64)).astype("float32")
    >>> found = tfopt.search(model, x, {"bytes": 5_000}, {"weight_bits": (8, 4)})
    >>> found.best.layers[0].bits, found.measured["bytes"] < 5_000
    (4, True)
    """
    begin = time.perf_counter()
    budget = check_budget(budget, target, max_drop)
    full = check_space(space or {}, budget)
    check_layers(layers or {})
    if by not in _BY:
        raise ValueError(f"The 'by' argument must be {', '.join(map(repr, _BY))}. Got {by!r} instead.")
    x, y = gather(data, getattr(model, "inputs", None) or 1, "data")
    options = {"target": target, "by": by, "samples": samples, "metric": metric}
    found, notes = candidates(model, x, y, budget, full, layers or {}, **options)  # type: ignore[arg-type]
    drop = None
    if max_drop is None:
        best = found.within(budget)  # type: ignore[arg-type]
    else:
        best, drop = found.within_drop(judge_of(model, x, y, metric), max_drop) or (None, None)
    measured = None if best is None else found.measured(best)
    front = found.front()
    shown = {front[at] for at in np.linspace(0, len(front) - 1, min(_POINTS, len(front))).astype(int)}
    points = [found.point(one) for one in {*shown, *((best,) if best else ())}]
    first = next(iter(budget))
    return SearchReport(
        name=model.name,
        budget=budget,
        max_drop=max_drop,
        points=tuple(sorted(points, key=lambda one: (one.costs[first], -one.loss))),
        best=found.point(best) if best else None,
        measured=found.point(best).costs if best and measured else None,
        drop=drop,
        seconds=round(time.perf_counter() - begin, 2),
        notes=notes,
    )


def candidates(
    model: keras.Model,
    x: Any,
    y: Any,
    budget: Mapping[str, float | None],
    space: Mapping[str, Sequence[float]],
    rows: Mapping[str, Mapping[str, float]],
    *,
    target: str,
    by: str = "loss",
    samples: int = 256,
    metric: Any = None,
) -> tuple[Candidates, tuple[str, ...]]:
    """All that a model may become within a space, and what is to be said of it.

    Args:
        model: the float model.
        x: inputs.
        y: labels, or None.
        budget: limits by budget, checked.
        space: values by dimension, all of them.
        rows: what is decided for single layers.
        target: the runtime.
        by: what stands for the damage of options of weights.
        samples: how many are used at most.
        metric: what `judge_of` takes.
    """
    options = options_of(widened(space, rows))
    of_weights = {name: most for name, most in budget.items() if not is_of_shapes(name)}
    prices = Prices({name: BUDGETS[name].price for name in of_weights}, target)  # type: ignore[misc]
    report = sensitivity(
        model,
        x if y is None else (x, y),
        techniques=prices.techniques(options),
        measured=by == "loss",
        proxies=() if by == "loss" else (by,),
        metric=metric,
        samples=samples,
        config=QuantConfig.for_target(target),
    )
    layers = _layers(report, options, space, rows)
    if not layers:
        raise ValueError(f"The model {model.name!r} must have layers with quantized weights. Got none.")
    for name in ("weight_bits", "sparsity", "n_clusters"):
        check_paths(rows, name, layers)
    shapes = _shapes(model, *some(x, y, samples), budget, space, rows, target, metric)
    weights = [_weights_of(one, layers, prices, of_weights) for one in shapes]
    return Candidates(model, x, shapes, weights, budget, target), report.notes


def _shapes(
    model: keras.Model,
    x: Any,
    y: Any,
    budget: Mapping[str, float | None],
    space: Mapping[str, Sequence[float]],
    rows: Mapping[str, Mapping[str, float]],
    target: str,
    metric: Any,
) -> list[Narrowed]:
    limits = {name: most for name, most in budget.items() if is_of_shapes(name) and most is not None}
    costs = LayerCosts(model, limits, target)
    judge = judge_of(model, x, y, metric)
    for name in ("channels", "rank") if rows else ():
        every = moves_of(model, {"channels": (), "rank": (), name: (0.5,)})
        check_paths(rows, name, (path for move in every for path in move.layers))
    moves, start = moves_of(model, space, rows), said_shape(rows)
    return narrow(model, moves, costs.of, lambda one: mean_loss(one, x, judge), x, limits, start)


def _weights_of(
    narrowed: Narrowed,
    layers: Mapping[str, Mapping[Option, float]],
    prices: Prices,
    limits: Mapping[str, float | None],
) -> Weights:
    """The sums of a shape; its kernels cost as much less as they are smaller."""
    sizes = kernel_sizes(narrowed.model)
    apart = (
        {row.path: row.after for row in narrowed.model.report.layers if row.ranks}
        if narrowed.shape.ranks
        else {}
    )
    sizes.update(apart)
    parts = {path: sizes[path] / size for path, size in prices.sizes.items() if path in sizes}
    return Weights(layers, prices, parts, limits, frozenset(apart))


def _layers(
    report: SensitivityReport,
    options: Sequence[Option],
    space: Mapping[str, Sequence[float]],
    rows: Mapping[str, Mapping[str, float]],
) -> dict[str, dict[Option, float]]:
    """The damage of each option of each layer that has them."""
    by_name = {one.name: one for one in options}
    found: dict[str, dict[Option, float]] = {}
    for row in report.rows:
        option = by_name[row.technique]
        if not row.reason and allows(space, rows.get(row.path, {}), option):
            found.setdefault(row.path, {})[option] = _damage(row)
    return found


def _damage(row: Damage) -> float:
    return next(one for one in (row.loss, row.fisher, row.hessian) if one is not None)
