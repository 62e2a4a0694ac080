from typing import Any

import keras
import numpy as np
import pytest

from tfopt.runtimes._metric import accuracy_for, evaluate_metric, metric_name

SPARSE, SCORES = np.array([0, 1, 2, 2]), np.eye(3)[[0, 1, 2, 0]]


@pytest.mark.parametrize(
    ("y", "predictions", "chosen"),
    [
        (SPARSE, SCORES, "sparse_categorical_accuracy"),
        (SPARSE[:, None], SCORES, "sparse_categorical_accuracy"),
        (np.eye(3)[SPARSE], SCORES, "categorical_accuracy"),
        (np.array([1, 0, 1, 1]), np.array([[0.9], [0.1], [0.6], [0.2]]), "binary_accuracy"),
        (np.array([1, 0, 1, 1]), np.array([0.9, 0.1, 0.6, 0.2]), "binary_accuracy"),
    ],
)
def test_accuracy_is_what_keras_would_compute(y: np.ndarray, predictions: np.ndarray, chosen: str) -> None:
    assert accuracy_for(y, predictions).name == chosen
    assert evaluate_metric("accuracy", y, predictions) == 0.75
    if predictions.ndim > 1:
        model = keras.Sequential([keras.Input(predictions.shape[1:]), keras.layers.Identity()])
        loss = "sparse_categorical_crossentropy" if chosen.startswith("sparse") else "mse"
        model.compile(loss=loss, metrics=["accuracy"])
        assert model.evaluate(predictions, y, verbose=0, return_dict=True)["accuracy"] == 0.75


@pytest.mark.parametrize(
    ("metric", "name", "value"),
    [
        ("mse", "mse", 0.25),
        ("mean_absolute_error", "mean_absolute_error", 0.5),
        (keras.metrics.MeanAbsoluteError(name="mae"), "mae", 0.5),
        (keras.metrics.mean_absolute_error, "mean_absolute_error", 0.5),
        (lambda y, p: np.max(p - y), "<lambda>", 0.5),
    ],
)
def test_every_kind_of_metric(metric: Any, name: str, value: float) -> None:
    y, predictions = np.zeros((3, 2), "float32"), np.full((3, 2), 0.5, "float32")
    assert metric_name(metric) == name
    assert evaluate_metric(metric, y, predictions) == value
    assert evaluate_metric(metric, y, predictions) == value  # and nothing is left over from before


@pytest.mark.parametrize(
    ("metric", "predictions", "message"),
    [
        ("no such", SCORES, "must be a name that Keras knows. Got 'no such'"),
        (
            "accuracy",
            [SCORES, SCORES],
            r"a function metric\(y, predictions\) for a model with 2 outputs. Got 'accuracy'",
        ),
        (
            lambda y, p: {"b": 1, "a": 2},
            SCORES,
            r"must give one number. Got a dict with the keys \['a', 'b'\]",
        ),
    ],
)
def test_bad_metrics_are_refused(metric: Any, predictions: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        evaluate_metric(metric, SPARSE, predictions)
