"""`search`: bits and zeros for each layer, so that a file is within a budget and loses as little as it can."""

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import keras
import numpy as np

from tfopt._samples import gather
from tfopt.analysis import Damage, Judge, judge_of, sensitivity
from tfopt.budgets._candidates import Candidates
from tfopt.budgets._front import Sum, front
from tfopt.budgets._options import FORMS, Option, Prices
from tfopt.budgets._report import SearchReport
from tfopt.compression import check_decoder
from tfopt.quantization import QuantConfig

# Points of the front that a report holds.
_POINTS = 24
_SPACE = {"weight_bits": (8, 6, 5, 4, 3, 2), "sparsity": (0.0, 0.5, 0.8)}
_BY = ("loss", "fisher", "hessian")


def search(
    model: keras.Model,
    data: Any,
    budget: Mapping[str, float | None],
    space: Mapping[str, Sequence[float]] | None = None,
    *,
    target: str = "litert",
    by: str = "loss",
    max_drop: float | None = None,
    samples: int = 256,
    metric: Any = None,
) -> SearchReport:
    """Finds the bits and zeros of each layer with which a file is within a budget and loses as little as it can.

    The fast answer: each option is tried in each layer alone (`sensitivity`), damages are added up, and the best sum
    for every budget follows (a multiple-choice knapsack). Nothing is trained. A file of the best point is written
    and measured, and the point is another one if it is too large. The same model and data give the same front.

    Args:
        model: a built float Keras model. It is not changed.
        data: `(x, y)`, or inputs alone, in any form that `fit` takes.
        budget: `{"bytes": 100_000}`: the file as it is; or `{"compressed_bytes": 100_000}`: with kernels that TFLite
            Micro decodes, as `export(..., compress=True)` writes them, for `target="tflm"`; or `{"nonzeros": 20_000}`:
            weights that are not zero. None in place of the number means as few as `max_drop` allows.
        space: what a layer may become: `weight_bits` and `sparsity`, each a list. By default 8, 6, 5, 4, 3 and 2 bits,
            with no zeros, 50 % and 80 %.
        target: the runtime, as for `QuantConfig.for_target`.
        by: what stands for the damage: `"loss"`, as it is measured, or a proxy: `"fisher"` or `"hessian"`, which take a
            fraction of the time.
        max_drop: where the budget has no number, what the metric may lose without training: points of a fraction,
            percent of an error. The point is the cheapest of the front whose quantized model loses no more on the data.
        samples: how many are used at most to find the front.
        metric: what `max_drop` is about, as for `sensitivity`.

    Returns:
        A `SearchReport`: the front, whose points each have a `recipe` for `compress`, and `best`, which
        `tfopt.budgets.apply_point` makes a model without training.

    Raises:
        ValueError: the budget, the space or `by` is none of the above, the target cannot decode kernels, or there is
            nothing to measure `max_drop` by.

    Example:

    >>> import keras, numpy as np, tfopt
    >>> layers = [keras.layers.Dense(64, activation="relu", name="a"), keras.layers.Dense(4, name="b")]
    >>> model = keras.Sequential([keras.Input((64,)), *layers])
    >>> x = np.random.default_rng(0).normal(size=(64, 64)).astype("float32")
    >>> found = tfopt.search(model, x, {"bytes": 5_000}, {"weight_bits": (8, 4)})
    >>> found.best.layers[0].bits, found.measured < 5_000
    (4, True)
    """
    begin = time.perf_counter()
    form, most = _budget(budget, max_drop)
    options = _options(space or {})
    if by not in _BY:
        raise ValueError(f"The 'by' argument must be {', '.join(map(repr, _BY))}. Got {by!r} instead.")
    if form == "compressed_bytes":
        check_decoder(target)
    prices = Prices(form, target)
    x, y = gather(data, getattr(model, "inputs", None) or 1, "data")
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
    layers = _layers(report.rows, options)
    if not layers:
        raise ValueError(f"The model {model.name!r} must have layers with quantized weights. Got none.")
    sums = front(
        [
            [(prices.bytes[path, one.name], max(rows[one], 0.0)) for one in options]
            for path, rows in layers.items()
        ]
    )
    all_of_them = Candidates(model, x, list(layers), options, sums, form, target)
    best, measured, drop = _best(all_of_them, most, lambda: judge_of(model, x, y, metric), max_drop)
    shown = {sums[at] for at in np.linspace(0, len(sums) - 1, min(_POINTS, len(sums))).astype(int)}
    points = (
        all_of_them.point(one) for one in sorted(shown | ({best} if best else set()), key=lambda s: s.cost)
    )
    return SearchReport(
        name=model.name,
        form=form,
        budget=most,
        max_drop=max_drop,
        points=tuple(points),
        best=all_of_them.point(best) if best else None,
        measured=measured,
        drop=drop,
        seconds=round(time.perf_counter() - begin, 2),
        notes=report.notes,
    )


def _best(
    candidates: Candidates, most: int | None, judge: Callable[[], Judge], max_drop: float | None
) -> tuple[Sum | None, int | None, float | None]:
    """The sum to take, its measured size, and what it loses where that was asked; Nones where none will do."""
    if most is not None:
        return (*(candidates.within(most) or (None, None)), None)
    best, drop = candidates.within_drop(judge(), max_drop or 0.0) or (None, None)
    return best, None if best is None else candidates.measured(best), drop


def _layers(rows: Sequence[Damage], options: Sequence[Option]) -> dict[str, dict[Option, float]]:
    """The damage of each option of each layer that has them."""
    by_name = {one.name: one for one in options}
    found: dict[str, dict[Option, float]] = {}
    for row in rows:
        if not row.reason:
            damage = next(one for one in (row.loss, row.fisher, row.hessian) if one is not None)
            found.setdefault(row.path, {})[by_name[row.technique]] = damage
    return found


def _budget(budget: Mapping[str, float | None], max_drop: float | None) -> tuple[str, int | None]:
    if not isinstance(budget, Mapping) or len(budget) != 1 or not set(budget) <= set(FORMS):
        raise ValueError(
            f"The 'budget' argument must be a dict with one of {', '.join(map(repr, FORMS))}. Got {budget!r} instead. "
            'Pass {"bytes": 100_000}.'
        )
    ((form, most),) = budget.items()
    if (most is None) != (max_drop is not None):
        raise ValueError(
            f"The 'budget' argument must give {form!r} a number, or None with a 'max_drop' that says how few will do. "
            f"Got {most!r} and max_drop={max_drop!r}."
        )
    if most is not None and (isinstance(most, bool) or not isinstance(most, (int, float)) or most < 1):
        raise ValueError(f"The 'budget' argument must give {form!r} a number from 1. Got {most!r} instead.")
    return form, None if most is None else int(most)


def _options(space: Mapping[str, Sequence[float]]) -> list[Option]:
    unknown = set(space) - set(_SPACE)
    if unknown:
        raise ValueError(
            f"The 'space' argument must have some of the keys {', '.join(map(repr, _SPACE))}. Got {sorted(unknown)}."
        )
    full = {**_SPACE, **space}
    bad = [one for one in full["weight_bits"] if one not in range(1, 9)]
    bad += [one for one in full["sparsity"] if not 0 <= one < 1]
    if bad or not all(map(len, full.values())):
        raise ValueError(
            "The 'space' argument must hold bits from 1 to 8 and sparsities in [0, 1). Got "
            f"{bad[0] if bad else 'an empty list'}."
        )
    return sorted(
        Option(int(bits), float(zeros)) for bits in full["weight_bits"] for zeros in full["sparsity"]
    )
