"""What a model is trained and measured by: as it was compiled, else by its outputs and the labels."""

import dataclasses
import re
from typing import Any

import keras
import numpy as np

from tfopt.graph import final_activation

# Losses of which each output is a score of a class, by the name that Keras has for them.
_CLASS_LOSSES = (
    "sparse_categorical_crossentropy",
    "categorical_crossentropy",
    "categorical_focal_crossentropy",
    "binary_crossentropy",
    "binary_focal_crossentropy",
)
_HIGHER_IS_BETTER = re.compile(r"acc|agree|auc|precision|recall|f1|fbeta|iou|dice|top_k|r2", re.I)


@dataclasses.dataclass(frozen=True)
class Task:
    """What `compress` trains and measures by.

    Attributes:
        loss: for `compile`; None where the teacher alone trains.
        metrics: for `compile`, as a config that makes new ones.
        metric: what models are compared by: a name, or an object; None where there is nothing to measure.
        metric_name: what it is called; "" for none.
        class_scores: whether outputs are scores of classes.
        from_logits: whether these are logits.
        notes: what was chosen, and why, in sentences.
    """

    loss: Any = None
    metrics: Any = None
    metric: Any = None
    metric_name: str = ""
    class_scores: bool = False
    from_logits: bool = False
    notes: tuple[str, ...] = ()

    @property
    def in_points(self) -> bool:
        """Whether the metric is a fraction of which more is better; else it is an error."""
        return bool(_HIGHER_IS_BETTER.search(self.metric_name))

    def drop(self, before: float, after: float) -> float:
        """What was lost: points of a fraction, percent of an error; below 0 if it was gained.

        >>> Task(metric_name="accuracy").drop(0.9, 0.895), Task(metric_name="mse").drop(2.0, 2.1)
        (0.5, 5.0)
        """
        if self.in_points:
            return round(100 * (before - after), 6)
        return round(100 * (after - before) / abs(before), 6) if before else float(after > before) * 100


def task_of(
    model: keras.Model, y: Any, loss: str | None = None, metric: str | None = None, labelled: bool = True
) -> Task:
    """What to train and measure a model by.

    Args:
        model: the original model; compiled or not.
        y: some labels, or None.
        loss: a name that wins over what the model says; None for none.
        metric: likewise.
        labelled: whether `y` are labels of people; else they are the model's own outputs.

    Raises:
        ValueError: the labels do not fit the outputs, or a name is unknown to Keras.
    """
    compiled = _compiled(model)
    notes: list[str] = []
    chosen, why = None, ""
    if loss is not None:
        chosen, why = _loss_named(loss), "as the recipe says"
    elif compiled.get("loss") is not None:
        chosen, why = compiled["loss"], "as the model was compiled"
    elif y is not None and len(model.outputs) == 1:
        chosen, why = _loss_for(model, np.asarray(y)), "chosen by the outputs and the labels"
    activation = final_activation(model)
    classes = _is_class_loss(chosen, model) or (chosen is None and activation in ("softmax", "sigmoid"))
    logits = _from_logits(chosen) if activation is None else activation not in ("softmax", "sigmoid")
    if chosen is not None:
        notes.append(f"Loss: {_name(chosen)}{' of logits' if classes and logits else ''}, {why}.")
    measure = _metric(model, y, metric, compiled, classes, logits, labelled)
    return Task(
        loss=chosen if labelled else None,
        metrics=compiled.get("metrics") if labelled else None,
        metric=measure,
        metric_name="" if measure is None else measure if isinstance(measure, str) else str(measure.name),
        class_scores=classes,
        from_logits=logits,
        notes=tuple(notes) if labelled else (),
    )


def labels_for(task: Task, model: keras.Model, y: Any) -> Any:
    """The labels in the form that a task's loss takes: numbers of classes, or rows with a one.

    A model compiled for the one form is often given the other.

    >>> model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(3)])
    >>> labels_for(Task("sparse_categorical_crossentropy"), model, np.eye(3)).tolist()
    [0, 1, 2]
    """
    if y is None or len(model.outputs) != 1:
        return y
    name, outputs = _name(task.loss), model.outputs[0].shape
    is_rows = y.shape[1:] == outputs[1:]
    if name == "sparse_categorical_crossentropy":
        if is_rows and outputs[-1] > 1:
            return y.argmax(axis=-1).astype("int32")
        _check_classes(y, outputs[-1])
    if name in ("categorical_crossentropy", "categorical_focal_crossentropy") and not is_rows:
        _check_classes(y, outputs[-1])
        return np.eye(outputs[-1], dtype="float32")[y.reshape(y.shape[: len(outputs) - 1]).astype(int)]
    return y


def _check_classes(y: np.ndarray, columns: int) -> None:
    low, high = int(y.min()), int(y.max())
    if low < 0 or high >= columns:
        raise ValueError(
            f"The labels must be numbers of classes from 0 to {columns - 1}, as the model has {columns} outputs. Got "
            f"{low} to {high}."
        )


def _compiled(model: keras.Model) -> dict[str, Any]:
    """The loss of a compiled model and the config of its metrics; empty for one that is not."""
    config = model.get_compile_config() if model.compiled else None
    if not config or config.get("loss") is None:
        return {}
    return {"loss": keras.saving.deserialize_keras_object(config["loss"]), "metrics": config.get("metrics")}


def _loss_for(model: keras.Model, y: np.ndarray) -> Any:
    """The loss that fits outputs and labels."""
    shape, activation = tuple(model.outputs[0].shape), final_activation(model)
    columns = shape[-1]
    whole = y.dtype.kind in "iub" or bool(np.all(y == np.rint(y)))
    indices = whole and (y.ndim == len(shape) - 1 or (y.ndim == len(shape) and y.shape[-1] == 1))
    logits = activation not in ("softmax", "sigmoid")
    if columns == 1:
        binary = whole and set(np.unique(y)) <= {0, 1}
        if activation == "sigmoid" or (binary and activation == "linear"):
            return keras.losses.BinaryCrossentropy(from_logits=logits)
        return keras.losses.MeanSquaredError()
    if indices and activation != "sigmoid":
        _check_classes(y, columns)
        return keras.losses.SparseCategoricalCrossentropy(from_logits=logits)
    if y.shape[1:] != shape[1:]:
        raise ValueError(
            f"The labels must be numbers of classes, or of the outputs' shape {shape[1:]}. Got {y.shape[1:]}."
        )
    if activation == "sigmoid":
        return keras.losses.BinaryCrossentropy()
    sums_to_one = bool(np.all(y >= 0)) and np.allclose(y.sum(axis=-1), 1, atol=1e-3)
    if activation == "softmax" or (whole and sums_to_one):
        return keras.losses.CategoricalCrossentropy(from_logits=logits)
    return keras.losses.MeanSquaredError()


def _metric(
    model: keras.Model,
    y: Any,
    metric: str | None,
    compiled: dict[str, Any],
    classes: bool,
    logits: bool,
    labelled: bool,
) -> Any:
    """What models are compared by."""
    if y is None or len(model.outputs) != 1:
        return None
    if metric is not None:
        return metric
    config = next(iter(keras.tree.flatten(_listed(compiled.get("metrics")))), None) if labelled else None
    if config not in (None, "accuracy", "acc"):
        return config.metric if isinstance(config, _Held) else config
    if not classes:
        return "accuracy" if config else keras.metrics.MeanSquaredError(name="mse")
    name = "accuracy" if labelled else "agreement"
    if model.outputs[0].shape[-1] == 1:
        return keras.metrics.BinaryAccuracy(name=name, threshold=0.0 if logits else 0.5)
    if labelled:
        return "accuracy"
    return keras.metrics.SparseCategoricalAccuracy(name=name)


@dataclasses.dataclass(frozen=True)
class _Held:
    """A metric that `tree.flatten` does not open."""

    metric: Any


def _listed(metrics: Any) -> Any:
    """Compiled metrics as names and objects; configs of objects are made objects."""
    if isinstance(metrics, dict) and "class_name" in metrics:
        return _Held(keras.saving.deserialize_keras_object(metrics))
    if isinstance(metrics, dict):
        return [_listed(one) for one in metrics.values()]
    if isinstance(metrics, (list, tuple)):
        return [_listed(one) for one in metrics]
    return metrics


def _loss_named(name: str) -> Any:
    try:
        return keras.losses.get(name)
    except ValueError as error:
        raise ValueError(f"The 'train.loss' key must be a loss of Keras. Got {name!r} instead.") from error


def _is_class_loss(loss: Any, model: keras.Model) -> bool:
    if loss is None or isinstance(loss, (list, dict)) or len(model.outputs) != 1:
        return False
    name = _name(loss)
    # Several columns with a binary loss are labels of their own, not classes that exclude each other.
    return name in _CLASS_LOSSES and ("binary" not in name or model.outputs[0].shape[-1] == 1)


def _from_logits(loss: Any) -> bool:
    config = loss.get_config() if isinstance(loss, keras.losses.Loss) else {}
    return bool(config.get("from_logits", False))


def _name(loss: Any) -> str:
    """The name of a loss as Keras writes it in strings.

    >>> from tfopt._task import _name
    >>> _name("mse"), _name(keras.losses.SparseCategoricalCrossentropy())
    ('mse', 'sparse_categorical_crossentropy')
    """
    if isinstance(loss, str):
        return loss
    if isinstance(loss, (list, dict)):
        return "one for each output"
    name = getattr(loss, "__name__", None) or type(loss).__name__
    return re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name).lower()
