"""Which classes models say for the same samples: how often they confuse two, and where they say another one."""

import dataclasses
from collections import Counter
from collections.abc import Mapping
from typing import Any

import keras
import numpy as np

from tfopt._report import Report, Table
from tfopt._text import percent
from tfopt.runtimes._metric import Metric

_NAMES = ("accuracy", "acc", "binary_accuracy", "categorical_accuracy", "sparse_categorical_accuracy")
_METRICS = (
    keras.metrics.BinaryAccuracy,
    keras.metrics.CategoricalAccuracy,
    keras.metrics.SparseCategoricalAccuracy,
)


@dataclasses.dataclass(frozen=True)
class ModelClasses:
    """What one model says.

    Attributes:
        name: the caller's name for it.
        right: samples whose class is the label.
        confusion: the cells of the confusion matrix that are not zero: `(label, said, samples)`.
    """

    name: str
    right: int
    confusion: tuple[tuple[int, int, int], ...]


@dataclasses.dataclass(frozen=True)
class ChangedSample:
    """A sample of which the last model says another class than the first.

    Attributes:
        index: its number among the samples.
        label: the class that it has.
        before: the class that the first model says.
        after: the class that the last model says.
    """

    index: int
    label: int
    before: int
    after: int


@dataclasses.dataclass(frozen=True)
class ClassReport(Report):
    """Confusion matrices, and the samples of which the last model says another class than the first.

    Attributes:
        classes: how many there are.
        samples: how many were classified.
        models: one for each model.
        changed: the samples, by number.
        names: the names of the classes in their order; empty where they have none.
    """

    classes: int
    samples: int
    models: tuple[ModelClasses, ...]
    changed: tuple[ChangedSample, ...]
    names: tuple[str, ...] = ()

    def table(self) -> Table:
        """A row for each model."""
        rows = tuple((one.name, f"{one.right:,}", percent(one.right / self.samples)) for one in self.models)
        title = f"Classes of {self.samples:,} samples"
        return Table(title, ("model", "right", "part"), rows, (self.sentence(),))

    def sentence(self) -> str:
        """How many samples changed their class, and in which direction."""
        lost = sum(one.before == one.label for one in self.changed)
        gained = sum(one.after == one.label for one in self.changed)
        first, last = self.models[0].name, self.models[-1].name
        if not self.changed:
            return f"{last} says the same class as {first} for all {self.samples:,} samples."
        return (
            f"{last} says another class than {first} for {len(self.changed):,} of {self.samples:,} samples: "
            f"{lost:,} were right before, {gained:,} are now."
        )


def said_classes(predictions: Any, metric: Metric) -> np.ndarray | None:
    """The class that a model says for each sample, `(samples,)`; None where the metric does not count classes.

    Args:
        predictions: `(samples, classes)`, or `(samples, 1)` for two classes.
        metric: what `compare` was asked for.

    >>> said_classes(np.array([[0.2, 0.8], [0.7, 0.3]]), "accuracy").tolist(), said_classes(np.ones((2, 2)), "mse")
    ([1, 0], None)
    """
    counts = metric in _NAMES if isinstance(metric, str) else isinstance(metric, _METRICS)
    if not counts or not isinstance(predictions, np.ndarray) or predictions.ndim != 2:
        return None
    if predictions.shape[1] > 1:
        return predictions.argmax(axis=1)
    return (predictions[:, 0] > getattr(metric, "threshold", 0.5)).astype("int64")


def compare_classes(labels: np.ndarray, said: Mapping[str, np.ndarray], classes: int) -> ClassReport | None:
    """Counts what models say.

    Args:
        labels: numbers of classes, `(samples,)` or `(samples, 1)`; or `(samples, classes)`, whose largest counts.
        said: the class that each model says for each sample.
        classes: how many there are.

    Returns:
        A `ClassReport`; None where the labels are no classes.

    >>> report = compare_classes(np.array([0, 1, 1]), {"a": np.array([0, 1, 1]), "b": np.array([0, 0, 1])}, 2)
    >>> report.models[1].confusion, report.changed[0].index
    (((0, 0, 1), (1, 0, 1), (1, 1, 1)), 1)
    >>> print(report.sentence())
    b says another class than a for 1 of 3 samples: 1 were right before, 0 are now.
    """
    labels = np.asarray(labels)
    if labels.ndim > 2:
        return None
    y = labels.argmax(axis=1) if labels.ndim == 2 and labels.shape[1] > 1 else labels.reshape(len(labels))
    if not np.array_equal(y, np.rint(y)):
        return None
    y = y.astype("int64")
    models = tuple(_one(name, y, one) for name, one in said.items())
    first, *_, last = [*said.values()] * 2  # of one model, both are it
    changed = tuple(
        ChangedSample(int(at), int(y[at]), int(first[at]), int(last[at]))
        for at in np.flatnonzero(first != last)
    )
    return ClassReport(classes, len(y), models, changed)


def _one(name: str, y: np.ndarray, said: np.ndarray) -> ModelClasses:
    cells = Counter(zip(y.tolist(), said.tolist(), strict=True))
    confusion = tuple((label, other, number) for (label, other), number in sorted(cells.items()))
    return ModelClasses(name, int(np.count_nonzero(y == said)), confusion)
