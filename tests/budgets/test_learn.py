"""`learn`: gates are probabilities, what they cost is what the closed model costs, and a budget is kept."""

import keras
import numpy as np
import pytest

from tfopt.budgets import apply_point, learn
from tfopt.budgets._gates import mixed, prefix_masks, relaxed
from tfopt.shrinking import count_macs

LAYERS = keras.layers


@pytest.mark.parametrize("bits", [2, 4, 8])
def test_a_closed_gate_is_a_rounded_kernel(bits):
    kernel = np.random.default_rng(0).normal(size=(3, 3, 2, 5)).astype("float32")
    chosen = np.eye(3, dtype="float32")[(2, 4, 8).index(bits)]
    got = np.asarray(mixed(kernel, (2, 4, 8), chosen, (-1,)))
    step = np.abs(kernel).max(axis=(0, 1, 2)) / (2 ** (bits - 1) - 1)
    np.testing.assert_allclose(got, np.round(kernel / step) * step, atol=1e-6)


def test_gates_close_as_they_cool():
    logits = np.array([0.0, 1.0, -1.0], "float32")
    warm, cold = (np.asarray(relaxed(logits, temperature, 0.0)) for temperature in (5.0, 0.05))
    assert warm.max() < 0.5 and cold[1] > 0.999 and warm.sum() == pytest.approx(1.0)


def test_masks_keep_the_first_in_multiples():
    masks = prefix_masks(np.array([3, 1, 0, 2, 5, 4, 7, 6]), (1.0, 0.6, 0.1), 4)
    assert masks.sum(axis=1).tolist() == [8, 4, 4] and masks[1].tolist() == [1, 1, 1, 1, 0, 0, 0, 0]


@pytest.mark.slow
@pytest.mark.parametrize("norms, least", [([], 0.85), ([LAYERS.BatchNormalization(name="norm")], 0.8)])
def test_a_budget_is_kept(norms, least):
    """Two thirds of `large` are of no use to the labels: it is the one that becomes smaller."""
    keras.utils.set_random_seed(0)
    rng = np.random.default_rng(0)
    x = rng.normal(size=(256, 8)).astype("float32")
    y = (x[:, 0] > 0).astype("int32")
    model = keras.Sequential(
        [
            keras.Input((8,)),
            LAYERS.Dense(32, name="large"),
            *norms,
            LAYERS.ReLU(),
            LAYERS.Dense(2, activation="softmax", name="head"),
        ]
    )
    before = model.get_weights()
    budget = {"mean_bits": 5.0, "macs": 0.6 * count_macs(model)}
    space = {"weight_bits": (8, 4, 2), "channels": (1.0, 0.5, 0.25)}
    found = learn(model, (x, y), budget, space, epochs=4, learning_rate=0.01)
    assert all(found.point.costs[name] <= most for name, most in budget.items())
    assert found.point.channels["large"] in (0.5, 0.25)
    assert all(sum(row.values()) == pytest.approx(1.0, abs=1e-4) for row in found.probabilities.values())
    assert all(np.array_equal(a, b) for a, b in zip(before, model.get_weights(), strict=True))
    # Channels that were shut in the training are those that go, and batch norms are of what is left.
    small = found.point.shape.make(found.model)
    np.testing.assert_allclose(small(x), found.model(x), atol=1e-5)
    for norm in norms:
        kernel, bias = found.model.get_layer("large").get_weights()
        rounded = mixed(kernel, (found.point.layers[0].bits,), np.ones(1, "float32"), (-1,))
        mean = (x @ np.asarray(rounded) + bias).mean(axis=0)
        np.testing.assert_allclose(found.model.get_layer(norm.name).moving_mean, mean, atol=1e-5)
    q = apply_point(found.model, found.point, x)
    assert np.mean(q.predict(x, verbose=0).argmax(axis=1) == y) > least
    again = learn(model, (x, y), budget, space, epochs=4, learning_rate=0.01)
    assert again.point == found.point


@pytest.mark.parametrize(
    "data, budget, message",
    [
        (np.ones((4, 8)), {"mean_bits": 4}, r"'data' argument must be \(x, y\)"),
        (None, {"latency": 4}, "'budget' argument of learn must be of .*'latency', which is no sum"),
    ],
)
def test_errors(data, budget, message):
    model = keras.Sequential([keras.Input((8,)), LAYERS.Dense(2)])
    with pytest.raises(ValueError, match=message):
        learn(model, data, budget)
