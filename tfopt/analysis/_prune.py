"""Accuracy control of pruning: the fewest layers get fewer zeros that keep what a model loses within bounds."""

import warnings
from collections.abc import Mapping
from typing import Any

import keras
import numpy as np

from tfopt.analysis._accuracy import AccuracyReport, Restored, outputs_of, validation_of
from tfopt.analysis._fewest import fewest
from tfopt.analysis._judge import Judge
from tfopt.graph import LayerFilter, build_model, capture
from tfopt.pruning import apply_mask, find_targets, magnitude_mask

# Parts of the zeros that a layer keeps which is given back, the largest that will do.
_MILDER = (0.75, 0.5, 0.25, 0.0)


def prune(
    model: keras.Model,
    sparsity: float | Mapping[str, float],
    *,
    max_drop: float,
    validation: Any,
    metric: Any = None,
    where: LayerFilter = None,
) -> keras.Model:
    """A copy of a model whose smallest weights are zero, without training, as far as its metric allows.

    Every layer gets the sparsity. If the model then loses more than allowed, the fewest layers become dense again that
    bring it back, and each of these then gets the most zeros with which it still holds: three quarters, half or a
    quarter of those asked for, or none. Whatever is reported was measured on the model that is returned. To go on in
    training, `Pruning` keeps the zeros that a model has: `Pruning(ConstantSparsity(small.sparsities[path]), path)`, or
    in a recipe `prune.layers`.

    Args:
        model: a built float Keras model of any form. It is not changed.
        sparsity: the part of each layer's weights that become zero, in (0, 1); or of single layers, by their paths.
        max_drop: what may be lost: points of a fraction (0.5: from 90 % to 89.5 %), percent of an error.
        validation: `(x, y)` to measure with, in any form that `fit` takes; inputs alone where outputs are scores of
            classes: then it counts how often the model agrees with what it was.
        metric: a name, a `keras.metrics.Metric` or `metric(y, predictions)`; by default what the model was compiled
            with, else chosen by outputs and labels.
        where: which layers, as for `Pruning`.

    Returns:
        A plain, uncompiled Keras model, with an `accuracy` attribute: an `AccuracyReport` of what was given back; and
        `sparsities`, the part of zeros that each layer got, by path. It warns where the bound was not reached.

    Raises:
        ValueError: the sparsity or `max_drop` is out of range, no layer is selected, or nothing can be measured.

    Example:

    >>> import keras, numpy as np
    >>> from tfopt.analysis import prune
    >>> layers = [keras.layers.Dense(32, activation="relu", name="a"), keras.layers.Dense(4, name="b")]
    >>> model = keras.Sequential([keras.Input((16,)), *layers])
    >>> x = np.random.default_rng(0).normal(size=(200, 16)).astype("float32")
    >>> small = prune(model, {"a": 0.2}, max_drop=50.0, validation=(x, model.predict(x, verbose=0).argmax(1)))
    >>> small.sparsities, small.accuracy.reached
    ({'a': 0.2}, True)
    """
    if not isinstance(max_drop, (int, float)) or isinstance(max_drop, bool) or not max_drop >= 0:
        raise ValueError(
            f"The 'max_drop' argument must be a number from 0. Got {max_drop!r} instead. Pass 0.5."
        )
    copy = build_model(capture(model))
    trial = _Trial(model, copy, *_targets(copy, sparsity, where), validation, metric)
    before = trial.drop({})
    given: dict[str, float] = {}
    if before > max_drop:
        given = _restore(trial, max_drop)
    drop = trial.drop(given)
    if drop > min(before, max_drop) and before <= drop:
        given, drop = {}, before  # nothing that was given back has helped
        trial.apply(given)
    report = AccuracyReport(
        model.name,
        trial.judge.task.metric_name,
        trial.exact,
        trial.values[()],
        trial.values[trial.key(given)],
        drop,
        max_drop,
        drop <= max_drop,
        tuple(
            Restored(
                (path,), f"{part * trial.asked[path]:.0%} zeros" if part else "no zeros", trial.worth[path]
            )
            for path, part in sorted(given.items(), key=lambda pair: -trial.worth[pair[0]])
        ),
        change="pruned",
    )
    copy.accuracy = report
    copy.sparsities = {path: round(own * given.get(path, 1.0), 6) for path, own in trial.asked.items()}
    if not report.reached:
        warnings.warn(report.sentence(), stacklevel=2)
    return copy


def _targets(
    model: keras.Model, sparsity: Any, where: LayerFilter
) -> tuple[dict[str, float], dict[str, list[keras.Variable]]]:
    """The sparsity of each layer, and its weights, by its path."""
    names = {id(node.op): node.path for node in reversed(capture(model).nodes)}
    if isinstance(sparsity, Mapping):
        known = set(names.values())
        for path in sparsity:
            if path not in known:
                raise ValueError(
                    f"The 'sparsity' argument must name layers of the model. Got {path!r}, which is none of them."
                )
        chosen = {key for key, path in names.items() if path in sparsity}
        where = lambda layer: id(layer) in chosen  # noqa: E731 (a filter)
    weights: dict[str, list[keras.Variable]] = {}
    for target in find_targets(model, where)[0]:
        weights.setdefault(names[id(target.layer)], []).append(target.variable)
    asked = {path: sparsity[path] if isinstance(sparsity, Mapping) else sparsity for path in weights}
    for value in asked.values():
        if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 < value < 1:
            raise ValueError(
                f"The 'sparsity' argument must be a float in (0, 1). Got {value!r} instead. For 80 % zeros pass 0.8."
            )
    return asked, weights


class _Trial:
    """A model with zeros in some layers, and what it loses."""

    def __init__(
        self,
        model: keras.Model,
        copy: keras.Model,
        asked: dict[str, float],
        weights: dict[str, list[keras.Variable]],
        validation: Any,
        metric: Any,
    ) -> None:
        self.copy, self.asked = copy, asked
        self.x, self.judge = validation_of(model, validation, metric)
        exact = self.judge.metric(outputs_of(model, self.x))
        if exact is None:
            raise ValueError(
                "The 'max_drop' argument takes a metric. Got none that fits the outputs and labels. Pass metric=, a "
                "function metric(y, predictions)."
            )
        self.exact = exact
        self.weights = [(path, one, np.asarray(one)) for path, several in weights.items() for one in several]
        self.values: dict[tuple[Any, ...], float] = {}
        self.worth = self._worth(self.judge)

    def key(self, given: Mapping[str, float]) -> tuple[Any, ...]:
        """What tells models apart."""
        return tuple(sorted(given.items()))

    def apply(self, given: Mapping[str, float]) -> None:
        """Makes weights zero; of layers that are given back only a part of these."""
        for path, variable, kernel in self.weights:
            part = self.asked[path] * given.get(path, 1.0)
            mask = magnitude_mask(kernel, part) if part else np.ones(kernel.shape, bool)
            variable.assign(np.asarray(apply_mask(kernel, mask)))

    def drop(self, given: Mapping[str, float]) -> float:
        """What the metric loses."""
        self.apply(given)
        key = self.key(given)
        if key not in self.values:
            self.values[key] = self.judge.metric(outputs_of(self.copy, self.x))  # type: ignore[assignment]
        return self.judge.task.drop(self.exact, self.values[key])

    def _worth(self, judge: Judge) -> dict[str, float]:
        """By how much the mean loss grows with the zeros of each layer alone."""
        dense = dict.fromkeys(self.asked, 0.0)

        def loss(given: Mapping[str, float]) -> float:
            self.apply(given)
            return float(judge.loss(judge.labels, outputs_of(self.copy, self.x)))

        exact = loss(dense)
        return {path: loss({**dense, path: 1.0}) - exact for path in self.asked}


def _restore(trial: _Trial, max_drop: float) -> dict[str, float]:
    """The layers that get fewer zeros, and which part of them they keep."""
    paths = list(trial.asked)
    chosen, lost = fewest(
        [trial.worth[path] for path in paths],
        lambda numbers: trial.drop({paths[number]: 0.0 for number in numbers}),
        max_drop,
    )
    given = {paths[number]: 0.0 for number in chosen}
    for path in sorted(given, key=lambda path: trial.worth[path]):
        for part in _MILDER:
            if part == 0.0 or trial.drop({**given, path: part}) <= max(max_drop, lost):
                given[path] = part
                break
    return given
