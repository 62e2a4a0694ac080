"""What a model is trained and measured by: a row for each kind of outputs and labels."""

import keras
import numpy as np
import pytest

from tfopt._task import Task, labels_for, task_of

INDICES = np.array([0, 1, 2, 1])
ROWS = np.eye(3)[INDICES]
FLOATS = np.random.default_rng(0).normal(size=(4, 3))


def _model(units, activation=None, loss=None, metrics=None):
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(units, activation=activation)])
    if loss is not None:
        model.compile("sgd", loss, metrics=metrics)
    return model


# Outputs, activation, labels -> the loss, whether of logits, whether of classes, and the metric.
CHOSEN = [
    (3, "softmax", INDICES, "sparse_categorical_crossentropy", False, True, "accuracy"),
    (3, None, INDICES, "sparse_categorical_crossentropy", True, True, "accuracy"),
    (3, None, INDICES[:, None].astype("float32"), "sparse_categorical_crossentropy", True, True, "accuracy"),
    (3, "softmax", ROWS, "categorical_crossentropy", False, True, "accuracy"),
    (3, None, ROWS, "categorical_crossentropy", True, True, "accuracy"),
    (3, None, FLOATS, "mean_squared_error", False, False, "mse"),
    (3, "sigmoid", (FLOATS > 0).astype(int), "binary_crossentropy", False, False, "mse"),
    (1, "sigmoid", INDICES % 2, "binary_crossentropy", False, True, "accuracy"),
    (1, None, INDICES % 2, "binary_crossentropy", True, True, "accuracy"),
    (1, None, FLOATS[:, 0], "mean_squared_error", False, False, "mse"),
]


@pytest.mark.parametrize("row", CHOSEN, ids=lambda row: f"{row[3]} of {row[0]} {row[1]}")
def test_the_loss_fits_outputs_and_labels(row):
    units, activation, y, loss, logits, classes, metric = row
    task = task_of(_model(units, activation), y)
    assert task.loss.name == loss and task.class_scores == classes and task.metric_name == metric
    assert task.loss.get_config().get("from_logits", False) == logits
    assert "chosen by the outputs and the labels" in task.notes[0]
    assert np.isfinite(float(task.loss(y, _model(units, activation)(np.ones((4, 2))))))
    assert isinstance(task.metric, str) or task.metric.name == metric


# The compiled loss and metrics, labels -> the metric.
COMPILED = [
    ("sparse_categorical_crossentropy", ["accuracy"], INDICES, "accuracy"),
    ("mae", ["mse", "mae"], FLOATS, "mse"),
    ("mae", None, FLOATS, "mse"),
    (keras.losses.Huber(), [keras.metrics.RootMeanSquaredError(name="rmse")], FLOATS, "rmse"),
    (
        "sparse_categorical_crossentropy",
        [keras.metrics.SparseTopKCategoricalAccuracy(2, name="top")],
        INDICES,
        "top",
    ),
]


@pytest.mark.parametrize("row", COMPILED, ids=lambda row: row[3])
def test_what_was_compiled_wins(row):
    loss, metrics, y, metric = row
    task = task_of(_model(3, loss=loss, metrics=metrics), y)
    assert task.metric_name == metric and "as the model was compiled" in task.notes[0]
    named = task_of(_model(3, loss=loss, metrics=metrics), y, "mse", "mae")
    assert named.metric == "mae" and "as the recipe says" in named.notes[0]


def test_what_is_lost():
    assert Task(metric_name="accuracy").drop(0.9, 0.91) == -1.0
    assert Task(metric_name="mae").drop(0.0, 0.1) == 100.0
    assert Task(metric_name="rmse").drop(0.5, 0.4) == -20.0


def test_labels_take_the_form_of_the_loss():
    rows = Task(keras.losses.CategoricalCrossentropy())
    numbers = Task(keras.losses.SparseCategoricalCrossentropy())
    np.testing.assert_array_equal(labels_for(rows, _model(3), INDICES), ROWS)
    np.testing.assert_array_equal(labels_for(numbers, _model(3), ROWS), INDICES)
    np.testing.assert_array_equal(labels_for(numbers, _model(3), INDICES), INDICES)
    assert labels_for(rows, _model(3), None) is None
    for task in (rows, numbers):
        with pytest.raises(ValueError, match=r"from 0 to 2, as the model has 3 outputs. Got 1 to 3"):
            labels_for(task, _model(3), INDICES + 1)


def test_labels_that_fit_nothing_are_refused():
    with pytest.raises(ValueError, match=r"numbers of classes, or of the outputs' shape \(3,\). Got \(2,\)"):
        task_of(_model(3), FLOATS[:, :2])
