"""`sensitivity`: how much each technique costs in each layer."""

import dataclasses
import time
import warnings
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import keras
import numpy as np

from tfopt._samples import count, gather, some
from tfopt.analysis._judge import Judge, judge_of
from tfopt.analysis._measure import measure
from tfopt.analysis._network import Network, Spot
from tfopt.analysis._proxies import PROXIES
from tfopt.analysis._ranks import spearman
from tfopt.analysis._report import Correlation, Damage, SensitivityReport
from tfopt.analysis._techniques import TECHNIQUES, Changed, Technique
from tfopt.quantization import QuantConfig, quantize

# Bytes that the outputs of all changed networks may take, for a metric that reads them together.
_MEMORY = 2**28


def sensitivity(
    model: keras.Model,
    data: Any,
    *,
    techniques: Iterable[str | Technique] | None = None,
    measured: bool = True,
    proxies: Iterable[str] = ("output_db", "fisher", "hessian"),
    metric: Any = None,
    samples: int = 512,
    config: QuantConfig | None = None,
) -> SensitivityReport:
    """How much each technique costs in each layer: which ones to spare, and how far one can go in the others.

    By measurement: a technique is applied to one layer, the rest stays float, and the network runs; only what depends
    on the layer is computed again. By proxies, in a fraction of the time: the decibels of the layer's own output, and
    the growth of the loss that its gradients (Fisher) or its curvature (Hessian trace) foretell. With both, the report
    says whether the proxies order the layers as measurement does.

    Args:
        model: a built float Keras model of any form. It is not changed.
        data: `(x, y)`, or inputs alone, in any form that `fit` takes. Without labels outputs are compared with those
            of the model itself.
        techniques: names in `TECHNIQUES`, or a `tfopt.analysis.Technique` of your own; all of the table by default.
        measured: whether to measure.
        proxies: which proxies to compute: some of `"output_db"`, `"fisher"` and `"hessian"`. The last two take the
            TensorFlow backend.
        metric: what is measured besides the loss: a name, a `keras.metrics.Metric` or `metric(y, predictions)`; what
            the model was compiled with by default, else chosen by outputs and labels.
        samples: how many are used at most, spread over all; fewer where outputs are large.
        config: the scheme that weights and activations are rounded by, its bits aside; that of `quantize` by default.

    Returns:
        A `SensitivityReport`: it prints as a table, and has `rows`, `worst(technique)` and `to_dict()`.

    Raises:
        ValueError: a technique or proxy is not known, the data is empty or does not fit, or the model is quantized.
        TypeError: `model` is not a Keras 3 model.

    Example:

    >>> import keras, numpy as np, tfopt
    >>> model = keras.Sequential([keras.Input((8,)), keras.layers.Dense(8, name="a"), keras.layers.Dense(1, name="b")])
    >>> x = np.random.default_rng(0).normal(size=(64, 8)).astype("float32")
    >>> report = tfopt.sensitivity(model, (x, x[:, :1]), techniques=["8-bit weights", "2-bit weights"])
    >>> eight, two = report.rows[2:4]
    >>> eight.path, eight.technique, eight.db > two.db + 10
    ('a', '8-bit weights', True)
    """
    chosen = [
        one if isinstance(one, Technique) else TECHNIQUES[_known("techniques", [one], TECHNIQUES)[0]]
        for one in techniques or TECHNIQUES
    ]
    wanted = _known("proxies", proxies, PROXIES)
    if not isinstance(samples, int) or samples < 1:
        raise ValueError(f"The 'samples' argument must be an integer of at least 1. Got {samples!r} instead.")
    x, y = some(*gather(data, getattr(model, "inputs", None) or 1, "data"), samples)
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        network = Network(quantize(model, x, config))
    judge = judge_of(model, x, y, metric)
    rows, changes = _apply(network.spots, chosen)
    x, judge = _fitting(x, judge, network, len(changes))
    seconds: dict[str, float] = {}
    exact_loss, exact_metric = None, None
    if measured:
        begin = time.perf_counter()
        exact_loss, exact_metric = _measured(network, judge, x, rows, changes)
        seconds["measured"] = time.perf_counter() - begin
    notes = [*judge.notes, *(str(one.message) for one in said if one.category is UserWarning)]
    for name in wanted:
        proxy, differentiates = PROXIES[name]
        if differentiates and keras.backend.backend() != "tensorflow":
            notes.append(f"No {name}: it takes the TensorFlow backend.")
            continue
        begin = time.perf_counter()
        for index, value in zip(changes, proxy(network, judge, x, list(changes.values())), strict=True):
            rows[index] = dataclasses.replace(rows[index], **{name: value})  # type: ignore[arg-type]
        seconds[name] = time.perf_counter() - begin
    return SensitivityReport(
        name=model.name,
        samples=count(x),
        metric_name=judge.task.metric_name,
        metric=exact_metric,
        loss=exact_loss,
        rows=tuple(rows),
        correlations=_correlations(rows, wanted, [one.name for one in chosen]) if measured else (),
        seconds={name: round(took, 3) for name, took in seconds.items()},
        notes=tuple(notes),
    )


def _known(argument: str, names: Iterable[str], table: Iterable[str]) -> list[str]:
    """The names, if a table has them."""
    names = list(names)
    for name in names:
        if name not in table:
            raise ValueError(
                f"The '{argument}' argument must hold some of {', '.join(map(repr, table))}. Got {name!r} instead."
            )
    return names


def _apply(spots: Sequence[Spot], techniques: Sequence[Any]) -> tuple[list[Damage], dict[int, Changed]]:
    """A row for each layer and technique, and by its number what is changed there."""
    rows: list[Damage] = []
    changes: dict[int, Changed] = {}
    for spot in spots:
        size = sum(int(np.prod(kernel.shape)) for kernel in spot.kernels)
        for technique in techniques:
            made = technique.apply(spot)
            reason = made if isinstance(made, str) else ""
            if isinstance(made, Changed):
                changes[len(rows)] = made
            rows.append(Damage(spot.path, spot.kind, technique.name, technique.short, size, reason=reason))
    return rows, changes


def _fitting(x: Any, judge: Judge, network: Network, changes: int) -> tuple[Any, Judge]:
    """As many samples as memory is given for, where a metric reads the outputs of all of them."""
    tensors = keras.tree.flatten(network.graph.outputs)
    each = 4 * sum(int(np.prod([size or 1 for size in tensor.shape[1:]])) for tensor in tensors)
    most = max(_MEMORY // (each * max(changes, 1)), 1)
    if judge.task.metric is None or count(x) <= most:
        return x, judge
    x, labels = some(x, judge.labels, most)
    note = f"{most:,} samples were used, as the outputs of all changed networks take memory."
    return x, dataclasses.replace(judge, labels=labels, notes=(*judge.notes, note))


def _measured(
    network: Network, judge: Judge, x: Any, rows: list[Damage], changes: dict[int, Changed]
) -> tuple[float, float | None]:
    """Fills in what was measured, and returns the float network's loss and metric."""
    exact, outcomes = measure(network, judge, x, list(changes.values()))
    number, value = count(x), judge.metric(exact.joined())
    for index, outcome in zip(changes, outcomes, strict=True):
        after = judge.metric(outcome.joined())
        rows[index] = dataclasses.replace(
            rows[index],
            loss=(outcome.loss - exact.loss) / number,
            drop=None if value is None or after is None else judge.task.drop(value, after),
            db=outcome.decibels(),
        )
    return exact.loss / number, value


def _correlations(
    rows: Sequence[Damage], proxies: Sequence[str], techniques: Sequence[str]
) -> tuple[Correlation, ...]:
    """How each proxy agrees with the measured loss, over all rows and for each technique."""
    return tuple(_correlation(rows, proxy, name) for proxy in proxies for name in ("", *techniques))


def _correlation(rows: Sequence[Damage], proxy: str, technique: str) -> Correlation:
    read: Callable[[Damage], Any] = lambda row: getattr(row, proxy)  # noqa: E731
    pairs = [
        (row.loss, -read(row) if proxy == "output_db" else read(row))
        for row in rows
        if row.loss is not None and read(row) is not None and technique in ("", row.technique)
    ]
    rank = spearman(*zip(*pairs, strict=True)) if pairs else None
    return Correlation(proxy, technique, None if rank is None else round(rank, 4), len(pairs))
