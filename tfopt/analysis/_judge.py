"""What outputs are judged by: the loss and the metric of the task, or distance to the float outputs."""

import dataclasses
from typing import Any

import keras
import numpy as np

from tfopt._samples import count
from tfopt._task import Task, labels_for, task_of
from tfopt.runtimes import evaluate_metric, metric_name

_DISTANCE = "Loss: mean squared distance to the float outputs."


@dataclasses.dataclass(frozen=True, eq=False)
class Judge:
    """Judges what a model returns for some samples.

    Attributes:
        labels: what the loss and the metric compare with: labels, or the float model's own outputs.
        task: names the metric.
        measures_distance: whether the loss is the distance to the float outputs.
        notes: what was chosen, in sentences.
    """

    labels: Any
    task: Task
    measures_distance: bool
    notes: tuple[str, ...]

    def loss(self, labels: Any, outputs: list[Any]) -> Any:
        """The mean loss of a batch, as a tensor."""
        if self.measures_distance:
            wanted = keras.tree.flatten(labels)
            squares = [
                keras.ops.mean(keras.ops.square(keras.ops.subtract(y, one)))
                for y, one in zip(wanted, outputs, strict=True)
            ]
            return sum(squares[1:], squares[0])
        return keras.ops.mean(keras.losses.get(self.task.loss)(labels, outputs[0]))

    def metric(self, predictions: list[np.ndarray]) -> float | None:
        """The metric over all samples; None without one."""
        if self.task.metric is None:
            return None
        return evaluate_metric(self.task.metric, self.labels, predictions[0])


def judge_of(model: keras.Model, x: Any, y: Any, metric: Any = None) -> Judge:
    """How to judge a model on some samples.

    Args:
        model: the float model, compiled or not.
        x: inputs.
        y: labels; None to compare with what the model itself returns.
        metric: a metric that wins over what the model was compiled with.

    Raises:
        ValueError: the labels do not fit the outputs.
    """
    if y is not None:
        task = task_of(model, y)
        if metric is not None:
            task = dataclasses.replace(task, metric=metric, metric_name=metric_name(metric))
        one_loss = task.loss is not None and not isinstance(task.loss, (list, dict))
        if one_loss and len(model.outputs) == 1:
            return Judge(labels_for(task, model, y), task, False, task.notes)
    outputs = model.predict(x, batch_size=32, verbose=0)
    if y is not None:
        task = dataclasses.replace(task, metric=metric, metric_name=metric_name(metric) if metric else "")
        return Judge(y if metric else outputs, task, metric is None, (_DISTANCE,))
    note = f"There are no labels. {_DISTANCE}"
    return Judge(outputs, Task(), True, (note,))


def part(arrays: Any, rows: slice) -> Any:
    """Some samples of a structure of arrays."""
    return keras.tree.map_structure(lambda array: array[rows], arrays)


def parts(x: Any, labels: Any, size: int) -> list[tuple[Any, Any]]:
    """Batches of inputs and labels."""
    return [
        (part(x, slice(start, start + size)), part(labels, slice(start, start + size)))
        for start in range(0, count(x), size)
    ]
