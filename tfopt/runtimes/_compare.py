"""Models and .tflite files side by side: accuracy, size, latency, memory, sparsity."""

import dataclasses
import os
from collections.abc import Mapping
from typing import Any

import keras

from tfopt._keras_model import check_keras_model, is_keras2
from tfopt._progress import progress
from tfopt._report import Report, Table
from tfopt._samples import count, gather
from tfopt._text import format_bytes, percent
from tfopt.runtimes._classes import ClassReport, compare_classes, said_classes
from tfopt.runtimes._latency import check_count
from tfopt.runtimes._measure import CompareRow, measure_file, measure_keras
from tfopt.runtimes._metric import Metric, evaluate_metric, metric_name
from tfopt.runtimes._registry import names_of
from tfopt.runtimes._tflite_file import TFLiteFile


@dataclasses.dataclass(frozen=True)
class CompareReport(Report):
    """What `compare` measured; prints as a table. The other rows are compared with the first.

    Args:
        metric: name of the metric.
        samples: number of samples it was computed on.
        latency_runs: calls timed for each model.
        rows: one for each model.
        classes: which classes they say, where the metric counts classes; else None.

    Example: see `compare`.
    """

    metric: str
    samples: int
    latency_runs: int
    rows: tuple[CompareRow, ...]
    classes: ClassReport | None = None

    def table(self) -> Table:
        """One row for each model."""
        rows = [
            (
                row.name,
                "-" if row.metric is None else self._metric_text(row.metric),
                format_bytes(row.raw_bytes),
                format_bytes(row.gzip_bytes),
                format_bytes(row.sparse_bytes),
                "-" if row.latency_ms is None else f"{row.latency_ms:.3g} ms",
                _memory(row),
                percent(row.sparsity),
                "/".join(str(bits) for bits in row.weight_bits) or "-",
            )
            for row in self.rows
        ]
        columns = ("model", self.metric, "raw", "gzip", "sparse", "latency", "memory", "zeros", "bits")
        notes = [self._against_first(row) for row in self.rows[1:]]
        if any(row.runtime == "Keras" for row in self.rows):
            notes.append(
                "Keras models: sizes are those of the weights in float32; latency is that of a compiled call."
            )
        notes += [
            f"{r.name}: latency and memory are at its batch size, {r.batch_size}."
            for r in self.rows
            if r.batch_size > 1
        ]
        runtimes = (
            ", ".join(dict.fromkeys(row.runtime for row in self.rows if row.runtime != "Keras")) or "LiteRT"
        )
        memory = "the arena" if any(row.arena_bytes for row in self.rows) else "activations alive at once"
        notes.append(
            f"latency: median of {self.latency_runs} calls at batch 1 on this machine, {runtimes} with one thread. "
            f"memory: {memory}. sparse: with kernels in sparse storage if that is smaller, as "
            "export(..., sparse=True) writes them if LiteRT reads them. zeros, bits: of the weight kernels."
        )
        return Table(
            f"{len(self.rows)} models on {self.samples:,} samples", columns, tuple(rows), tuple(notes)
        )

    def _is_fraction(self) -> bool:
        return "acc" in self.metric.lower()

    def _metric_text(self, value: float) -> str:
        return f"{value:.2%}" if self._is_fraction() else f"{value:.4g}"

    def _against_first(self, row: CompareRow) -> str:
        first = self.rows[0]
        parts = []
        if first.raw_bytes:  # a Keras model without weights has none
            parts = [
                _times(first.raw_bytes, row.raw_bytes, "as large", "smaller", "larger"),
                _times(
                    first.gzip_bytes, row.gzip_bytes, "as large gzipped", "smaller gzipped", "larger gzipped"
                ),
            ]
        # Only on the same runtime: a Keras call is mostly Python, so its ratio to LiteRT says nothing about the model.
        if first.latency_ms and row.latency_ms and first.runtime == row.runtime:
            parts.append(_times(first.latency_ms, row.latency_ms, "as fast", "faster", "slower"))
        if first.metric is not None and row.metric is not None:
            change = row.metric - first.metric
            amount = f"{100 * change:+.2f} points" if self._is_fraction() else f"{change:+.4g}"
            parts.append(f"{self.metric} {amount}")
        return f"{row.name} against {first.name}: {', '.join(parts) or 'nothing to compare'}."


def compare(
    models: Mapping[str, Any],
    x: Any,
    y: Any = None,
    metric: Metric = "accuracy",
    latency_runs: int = 50,
    runtime: str = "xnnpack",
) -> CompareReport:
    """Measures Keras models and .tflite files on the same samples, side by side.

    Use it to see what an optimization gained and what it cost. Sizes are exact; latency is the median over calls of
    this run on this machine, so compare it within one table only.

    Args:
        models: a dict from names to models: a `keras.Model`, or the path of a .tflite or .keras file. Put the
            baseline first; the notes under the table are relative to it.
        x: inputs as `model.evaluate` takes them: arrays `(samples, ...)`, or a data set of batches `(x, y)`.
        y: labels `(samples, ...)`. Without labels the metric is left out.
        metric: `"accuracy"` (binary, sparse or categorical by the shapes, as in `compile`), another name that Keras
            knows, a `keras.metrics.Metric`, or a function `metric(y, predictions)`. Several outputs come as the Keras
            model returns them, a list or a dict; without one among the models, in a dict by name.
        latency_runs: calls to time for each model, after 5 that warm up.
        runtime: what runs the files, a name as for `tfopt.runtimes.run`. With `"tflm"` memory is TFLite Micro's arena;
            its latency is that of this machine, not of a microcontroller.

    Returns:
        A `CompareReport`.

    Raises:
        ValueError: there are no models, a path is missing, or samples and labels do not fit them or each other.
        TypeError: a model is neither a Keras model nor a path.

    Example:

    >>> import os, tempfile
    >>> import numpy as np
    >>> model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(3, activation="softmax")])
    >>> path = os.path.join(tempfile.mkdtemp(), "model.tflite")
    >>> model.export(path, format="litert", verbose=False)
    >>> report = compare({"keras": model, "file": path}, np.ones((8, 4)), np.zeros(8), latency_runs=2)
    >>> [row.raw_bytes < 5000 for row in report.rows], report.rows[0].metric == report.rows[1].metric
    ([True, True], True)
    """
    if not isinstance(models, Mapping) or not models:
        raise ValueError(
            f"The 'models' argument must be a dict with at least one model. Got {models!r} instead. "
            "Pass {'float': model, 'int8': 'model.tflite'}."
        )
    check_count("latency_runs", latency_runs, least=1)
    names_of(runtime)
    loaded = {name: _load(name, model) for name, model in models.items()}
    features, labels = _features_and_labels(loaded, x, y)
    keras_models = [model for model in loaded.values() if isinstance(model, keras.Model)]
    order = tuple(t.name for model in keras_models[:1] for t in getattr(model, "inputs", None) or ())
    rows, said, scores = [], {}, 0
    with progress("Comparing", total=len(loaded) * count(features)) as advance:
        for name, model in loaded.items():
            if isinstance(model, keras.Model):
                row, predictions = measure_keras(name, model, features, latency_runs)
                advance(count(features))
            else:
                row, predictions = measure_file(
                    name, model, features, order, latency_runs, advance, runtime, _returns_list(keras_models)
                )
            value = None if labels is None else evaluate_metric(metric, labels, predictions)
            rows.append(dataclasses.replace(row, metric=value))
            if labels is not None and (classes := said_classes(predictions, metric)) is not None:
                said[name], scores = classes, max(scores, predictions.shape[1], 2)
    told = compare_classes(labels, said, scores) if len(said) == len(rows) else None
    return CompareReport(metric_name(metric), count(features), latency_runs, tuple(rows), told)


def _load(name: str, model: Any) -> keras.Model | TFLiteFile:
    if isinstance(model, (keras.Model, TFLiteFile)):
        return model
    if is_keras2(model):
        check_keras_model(model, f"model {name!r} of the 'models' argument")
    if not isinstance(model, (str, os.PathLike, bytes)):
        raise TypeError(
            f"The 'models' argument must hold Keras models and paths. Got {type(model).__name__} for '{name}'. "
            "Pass the model itself, or the path of its .tflite or .keras file."
        )
    if (
        not isinstance(model, bytes)
        and str(os.fspath(model)).lower().endswith(".keras")
        and os.path.isfile(model)
    ):
        return keras.saving.load_model(model)
    return TFLiteFile.read(model)


def _returns_list(models: list[keras.Model]) -> bool:
    """Whether the first Keras model returns a list of outputs."""
    return any(isinstance(getattr(model, "output", None), (list, tuple)) for model in models[:1])


def _features_and_labels(models: Mapping[str, keras.Model | TFLiteFile], x: Any, y: Any) -> tuple[Any, Any]:
    inputs = max(len(getattr(model, "inputs", None) or (0,)) for model in models.values())
    features, labels = gather(x, inputs, "x")
    if y is not None:
        labels, _ = gather(y, 1, "y")
    if labels is not None and count(labels) != count(features):
        raise ValueError(
            f"The 'y' argument must hold one label for each sample. Got {count(labels)} labels for "
            f"{count(features)} samples. Check that both come from the same split."
        )
    return features, labels


def _memory(row: CompareRow) -> str:
    needed = row.arena_bytes or row.peak_activation_bytes
    return "-" if needed is None else format_bytes(needed)


def _times(first: float, other: float, same: str, less: str, more: str) -> str:
    """How many times less, or more, in three digits.

    >>> _times(2000, 1999, "as large", "smaller", "larger"), _times(2, 3, "as large", "smaller", "larger")
    ('as large', '1.5 times larger')
    """
    ratio = first / other
    text = f"{max(ratio, 1 / ratio):.3g}"
    return same if text == "1" else f"{text} times {less if ratio > 1 else more}"
