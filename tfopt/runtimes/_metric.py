"""The metric that `compare` computes for each model."""

from collections.abc import Callable
from typing import Any, TypeAlias

import keras
import numpy as np

Metric: TypeAlias = "str | keras.metrics.Metric | Callable[[Any, Any], Any]"


def metric_name(metric: Metric) -> str:
    """What a metric is called in a table.

    >>> metric_name("accuracy"), metric_name(keras.metrics.MeanSquaredError(name="mse"))
    ('accuracy', 'mse')
    """
    if isinstance(metric, str):
        return metric
    return str(getattr(metric, "name", None) or getattr(metric, "__name__", type(metric).__name__))


def evaluate_metric(metric: Metric, y: Any, predictions: Any) -> float:
    """The value of a metric over all samples.

    Args:
        metric: `"accuracy"`, another name that Keras knows, a `keras.metrics.Metric`, or `metric(y, predictions)`.
        y: labels.
        predictions: what the model returned.

    Raises:
        ValueError: the metric is unknown, needs one output and there are several, or gives no single number.

    Example:

    >>> evaluate_metric("accuracy", np.array([1, 0]), np.array([[0.2, 0.8], [0.3, 0.7]]))
    0.5
    """
    if isinstance(metric, str):
        if not isinstance(predictions, np.ndarray):
            raise ValueError(
                f"The 'metric' argument must be a function metric(y, predictions) for a model with "
                f"{len(predictions)} outputs. Got {metric!r} instead. Pass one that picks the output it is about."
            )
        metric = accuracy_for(y, predictions) if metric in ("accuracy", "acc") else _by_name(metric)
    if isinstance(metric, keras.metrics.Metric):
        metric.reset_state()
        metric.update_state(y, predictions)
        result = metric.result()
    else:
        result = metric(y, predictions)
    if isinstance(result, dict):
        raise ValueError(
            f"The 'metric' argument must give one number. Got a dict with the keys {sorted(result)} instead. "
            "Pass a function that picks one of them."
        )
    return float(np.mean(keras.ops.convert_to_numpy(result)))


def accuracy_for(y: np.ndarray, predictions: np.ndarray) -> keras.metrics.Metric:
    """The accuracy that `compile(metrics=["accuracy"])` would choose, by the shapes.

    Binary for one output value (threshold 0.5), sparse for integer labels, categorical for one-hot ones.

    >>> accuracy_for(np.zeros(4), np.zeros((4, 10))).name
    'sparse_categorical_accuracy'
    """
    y = np.asarray(y)
    if predictions.ndim < 2 or predictions.shape[-1] == 1:
        return keras.metrics.BinaryAccuracy()
    classes = predictions.shape[-1]
    if y.ndim < predictions.ndim or y.shape[-1] == 1:
        if y.size and not (y.min() >= 0 and y.max() < classes):
            raise ValueError(
                f"The 'y' argument must hold numbers of classes from 0 to {classes - 1}, as the model has {classes} "
                f"outputs. Got {y.min()} to {y.max()}. Pass a metric of your own if they are something else."
            )
        return keras.metrics.SparseCategoricalAccuracy()
    if y.shape[-1] != classes:
        raise ValueError(
            f"The 'y' argument must hold a value for each of the model's {classes} outputs, or the number of a class. "
            f"Got labels of shape {y.shape}."
        )
    return keras.metrics.CategoricalAccuracy()


def _by_name(name: str) -> Any:
    try:
        return keras.metrics.get(name)
    except ValueError as error:
        raise ValueError(
            f"The 'metric' argument must be a name that Keras knows. Got {name!r} instead. "
            "Pass 'accuracy', a keras.metrics.Metric, or a function metric(y, predictions)."
        ) from error
