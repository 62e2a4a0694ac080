"""`refine`: Optuna's trials are points, a seed gives the same ones, and a search goes on where it was."""

import keras
import numpy as np
import pytest

import tfopt
from tfopt.budgets import Objective, refine
from tfopt.budgets import _refine as module

optuna = pytest.importorskip("optuna")
SLOW = pytest.mark.slow


@pytest.fixture(scope="module")
def objective():
    keras.utils.set_random_seed(0)
    rng = np.random.default_rng(0)
    y = np.arange(120) % 3
    x = (1.5 * rng.normal(size=(3, 12))[y] + rng.normal(size=(120, 12))).astype("float32")
    layers = [
        keras.layers.Dense(32, activation="relu", name="a"),
        keras.layers.Dense(3, activation="softmax", name="b"),
    ]
    model = keras.Sequential([keras.Input((12,)), *layers])
    model.compile(keras.optimizers.Adam(0.02), "sparse_categorical_crossentropy")
    model.fit(x, y, epochs=4, verbose=0)
    space = {"weight_bits": (8, 4, 2), "sparsity": (0.0, 0.5), "channels": (1.0, 0.5)}
    return lambda budget, **settings: Objective(model, (x, y), budget, space, **settings)


def test_choices_are_points_and_back(objective):
    made = objective({"bytes": None})
    assert made.names == ("a.channels", "a.weight_bits", "a.sparsity", "b.weight_bits", "b.sparsity")
    chosen = dict(zip(made.names, (0.5, 4, 0.5, 8, 0.0), strict=True))
    point = made.point(lambda name, values: chosen[name])
    assert made.start(point) == chosen and point.channels == {"a": 0.5}
    found = made(lambda name, values: chosen[name])  # what KerasTuner's run_trial returns
    assert set(found) == {"loss", "bytes"} and found["loss"] > 0 and found["bytes"] > 500


@SLOW
def test_the_same_seed_and_a_pause(objective, tmp_path):
    made = objective({"bytes": None})
    start = tfopt.search(made.model, (made.x, made.y), {"bytes": 4000}, made.space).points[:2]
    whole = refine(made, 7, seed=3, start=start)
    refine(made, 3, seed=3, start=start, storage=tmp_path / "study.db")
    paused = refine(made, 7, seed=3, start=start, storage=tmp_path / "study.db")
    assert paused == whole and whole.trials == 7 and whole.points
    costs = [point.costs["bytes"] for point in whole.points]
    losses = [point.loss for point in whole.points]
    assert costs == sorted(costs) and losses == sorted(losses, reverse=True)
    assert "7 trials" in str(whole) and whole.best == whole.points[-1]


@SLOW
def test_limits_are_kept_and_trials_are_trained(objective):
    made = objective({"bytes": 2200}, epochs=2, learning_rate=0.01)
    report = refine(made, 6, seed=1)
    assert all(point.costs["bytes"] <= 2200 for point in report.points) and report.trials == 6
    assert report.best is None or report.best.loss < 1.0


def test_errors(objective, monkeypatch):
    with pytest.raises(ValueError, match=r"'trials' argument must be a whole number from 1. Got 0"):
        refine(None, 0)
    with pytest.raises(ValueError, match=r"must be .x, y. to train for epochs"):
        Objective(objective({"bytes": None}).model, np.ones((4, 12)), {"bytes": None}, epochs=1)
    monkeypatch.setitem(__import__("sys").modules, "optuna", None)
    with pytest.raises(ImportError, match=r"pip install 'tfopt.search.'"):
        module._optuna()
