"""Accuracy control: the fewest layers are given back that keep what a quantized model loses within bounds."""

import dataclasses
import warnings
from collections.abc import Callable, Sequence
from typing import Any

import keras
import numpy as np

from tfopt._report import Report, Table
from tfopt._samples import gather
from tfopt._task import task_of
from tfopt.analysis._fewest import fewest
from tfopt.analysis._judge import Judge, judge_of, parts
from tfopt.analysis._measure import measure
from tfopt.analysis._network import Network
from tfopt.analysis._remedies import Remedy, find_remedies, overrides_of
from tfopt.analysis._techniques import Changed
from tfopt.quantization import QuantConfig, QuantizationReport, QuantizedModel

# How often the search is done again, more strictly, where the model loses more than the search foresaw.
_ATTEMPTS = 4


@dataclasses.dataclass(frozen=True)
class Restored:
    """A row: what was given back.

    Attributes:
        layers: the layers' paths.
        remedy: what they got: `"16-bit activations"`, `"8-bit weights"`, `"float weights"`, or `"40% zeros"`.
        loss: by how much the mean loss falls with this alone, everything else being as it was.
    """

    layers: tuple[str, ...]
    remedy: str
    loss: float


@dataclasses.dataclass(frozen=True)
class AccuracyReport(Report):
    """What accuracy control gave back, and what came of it.

    Attributes:
        name: the model's name.
        metric_name: the metric.
        exact: its value in float.
        before: its value where nothing was given back.
        after: its value now.
        drop: what is lost now: points of a fraction, percent of an error.
        max_drop: what may be lost.
        reached: whether it is within that.
        restored: a row for each thing that was given back.
        change: what was done to the model: `"quantized"` or `"pruned"`.

    Example: see `quantize`.
    """

    name: str
    metric_name: str
    exact: float
    before: float
    after: float
    drop: float
    max_drop: float
    reached: bool
    restored: tuple[Restored, ...]
    change: str = "quantized"

    def table(self) -> Table:
        rows = tuple((", ".join(row.layers), row.remedy, f"{row.loss:.2g}") for row in self.restored)
        return Table(
            f"Accuracy control of {self.name}", ("layers", "got", "loss alone"), rows, (self.sentence(),)
        )

    def sentence(self) -> str:
        """What came of it, in a sentence."""
        given = "; ".join(f"{', '.join(row.layers)}: {row.remedy}" for row in self.restored) or "nothing"
        verdict = "" if self.reached else ": NOT reached, with all that can be given back"
        return (
            f"{self.metric_name} {self.exact:.4g} in float, {self.before:.4g} {self.change}, {self.after:.4g} now: "
            f"{self.drop:.3g} lost, of {self.max_drop:.3g} allowed{verdict}. Given back: {given}."
        )


def control_accuracy(
    model: keras.Model,
    quantize: Callable[[QuantConfig], QuantizedModel],
    config: QuantConfig,
    validation: Any,
    max_drop: float,
    metric: Any = None,
) -> QuantizedModel:
    """Quantizes a model, and gives back as few layers as keep its metric.

    Args:
        model: the float model.
        quantize: makes the quantized model of a scheme.
        config: the scheme to begin with.
        validation: samples to measure with.
        max_drop: what may be lost.
        metric: what is measured.
    """
    x, judge = validation_of(model, validation, metric)
    first = quantize(config)
    exact, before = judge.metric(outputs_of(model, x)), judge.metric(outputs_of(first, x))
    if exact is None or before is None:
        raise ValueError(
            "The 'max_drop' argument takes a metric. Got none that fits the outputs and labels. Pass metric=, a "
            "function metric(y, predictions)."
        )
    drop = judge.task.drop(exact, before)
    best, after = first, before
    rows: tuple[Restored, ...] = ()
    if drop > max_drop:
        best, rows, after, drop = _restore(first, quantize, config, x, judge, exact, max_drop)
        if judge.task.drop(exact, before) < drop:  # nothing that was given back has helped
            best, rows, after, drop = first, (), before, judge.task.drop(exact, before)
    report = AccuracyReport(
        model.name, judge.task.metric_name, exact, before, after, drop, max_drop, drop <= max_drop, rows
    )
    best.accuracy = report
    placed: QuantizationReport = best.placed  # type: ignore[assignment]
    best.placed = dataclasses.replace(placed, warnings=(*placed.warnings, report.sentence()))
    if not report.reached:
        warnings.warn(report.sentence(), stacklevel=4)
    return best


def _restore(
    first: QuantizedModel,
    quantize: Callable[[QuantConfig], QuantizedModel],
    config: QuantConfig,
    x: Any,
    judge: Judge,
    exact: float,
    max_drop: float,
) -> tuple[QuantizedModel, tuple[Restored, ...], float, float]:
    """The model with the fewest remedies, what they are, its metric, and what it loses."""
    network = Network(first)
    remedies, fixed = find_remedies(first, network, config)
    worth = _worth(network, judge, x, remedies)
    foreseen = _Foreseen(network, judge, x, remedies, fixed, exact)
    found: list[tuple[QuantizedModel, tuple[Restored, ...], float, float]] = []
    allowed = max_drop
    for _ in range(_ATTEMPTS):
        numbers, expected = _milder(remedies, *fewest(worth, foreseen, allowed), foreseen, allowed)
        chosen = [remedies[index] for index in sorted(numbers)]
        made = quantize(dataclasses.replace(config, overrides=overrides_of(chosen, config, network.spots)))
        after = judge.metric(outputs_of(made, x))
        drop = judge.task.drop(exact, after)  # type: ignore[arg-type]
        rows = tuple(
            Restored(remedies[index].layers, remedies[index].name, worth[index])
            for index in sorted(numbers, key=lambda index: -worth[index])
        )
        found.append((made, rows, after, drop))  # type: ignore[arg-type]
        if drop <= max_drop or expected > allowed or len(numbers) == len(remedies):
            break
        allowed = expected - (drop - max_drop)  # the model loses more than was foreseen
    return min(found, key=lambda one: (max(one[3], max_drop), len(one[1])))


def _milder(
    remedies: Sequence[Remedy],
    numbers: frozenset[int],
    expected: float,
    foreseen: Callable[[frozenset[int]], float],
    allowed: float,
) -> tuple[frozenset[int], float]:
    """The same layers, with the first of their remedies that does in place of a later one, which costs more."""
    for index in sorted(numbers):
        own = remedies[index]
        others = (
            i for i in range(index) if remedies[i].layers == own.layers and remedies[i].costs.rounds is None
        )
        for other in others if own.costs.rounds is None else ():
            swapped = numbers - {index} | {other}
            if foreseen(swapped) <= max(allowed, expected):
                numbers = swapped
                break
    return numbers, foreseen(numbers)


def _worth(network: Network, judge: Judge, x: Any, remedies: Sequence[Remedy]) -> list[float]:
    """By how much the mean loss falls with each remedy, where everything else is float."""
    pairs = [one for remedy in remedies for one in (remedy.costs, remedy.leaves) if one is not None]
    float_network, outcomes = measure(network, judge, x, pairs)
    number = len(keras.tree.flatten(x)[0])
    losses = {id(change): outcome.loss / number for change, outcome in zip(pairs, outcomes, strict=True)}
    exact = float_network.loss / number
    return [
        losses[id(remedy.costs)] - (exact if remedy.leaves is None else losses[id(remedy.leaves)])
        for remedy in remedies
    ]


class _Foreseen:
    """What the network loses with some remedies, as the roundings of the quantized model foretell it.

    No model is built and calibrated for this: all roundings act in the float network, but for those given back.
    """

    def __init__(
        self,
        network: Network,
        judge: Judge,
        x: Any,
        remedies: Sequence[Remedy],
        fixed: Sequence[Changed],
        exact: float,
    ) -> None:
        self.network, self.judge, self.x = network, judge, x
        self.remedies, self.fixed, self.exact = remedies, fixed, exact
        self.known: dict[frozenset[int], float] = {}

    def __call__(self, given: frozenset[int]) -> float:
        if given not in self.known:
            self.known[given] = self._measure(given)
        return self.known[given]

    def _measure(self, given: frozenset[int]) -> float:
        current: dict[tuple[int, bool], Changed | None] = {}
        for index, remedy in enumerate(self.remedies):
            key = id(remedy.costs.spot), remedy.costs.rounds is None
            current.setdefault(key, remedy.costs)
            if index in given:
                current[key] = remedy.leaves
        every = [*self.fixed, *(one for one in current.values() if one is not None)]
        change: dict[int, Any] = {}
        for one in every:
            change.update(one.operations(self.network.operations))
        found: list[list[np.ndarray]] = []
        for inputs, _ in parts(self.x, self.judge.labels, self.network.batch_size()):
            outputs = self.network.outputs(
                self.network.run_changed(dict(self.network.inputs(inputs)), change)
            )
            found.append([np.asarray(keras.ops.convert_to_numpy(one)) for one in outputs])
        metric = self.judge.metric([np.concatenate(arrays) for arrays in zip(*found, strict=True)])
        return self.judge.task.drop(self.exact, metric)  # type: ignore[arg-type]


def outputs_of(model: keras.Model, x: Any) -> list[np.ndarray]:
    """What a model returns, as a list."""
    return [np.asarray(one) for one in keras.tree.flatten(model.predict(x, batch_size=64, verbose=0))]


def validation_of(model: keras.Model, validation: Any, metric: Any) -> tuple[Any, Judge]:
    """Inputs, and how to judge outputs: by labels, else by the classes that the model itself gives."""
    x, y = gather(validation, getattr(model, "inputs", None) or 1, "validation")
    if y is None:
        outputs = outputs_of(model, x)
        task = task_of(model, None)
        if len(outputs) > 1 or not task.class_scores or outputs[0].shape[-1] == 1:
            raise ValueError(
                "The 'validation' argument must hold labels where the model's outputs are no scores of classes. Got "
                "inputs alone. Pass (x, y)."
            )
        y = outputs[0].argmax(axis=-1)
    return x, judge_of(model, x, y, metric)
