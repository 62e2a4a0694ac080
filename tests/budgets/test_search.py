"""`search`: the front is that of all sums, files are within their budget, and a point is a recipe."""

import dataclasses
import itertools
import json

import keras
import numpy as np
import pytest

import tfopt
from tfopt.budgets import _front, apply_point
from tfopt.budgets._front import front
from tfopt.recipes import recipe_text
from tfopt.recipes._yaml import recipe_of
from tfopt.runtimes import TFLiteFile

LAYERS = keras.layers
SLOW = pytest.mark.slow


def _brute(choices):
    """The front by trying everything."""
    every = [(sum(c for c, _ in one), sum(d for _, d in one)) for one in itertools.product(*choices)]
    kept, least = [], float("inf")
    for cost, damage in sorted(every):
        if damage < least:
            kept, least = [*kept, (cost, damage)], damage
    return kept


@pytest.mark.parametrize("seed", range(12))
def test_front_is_that_of_all_sums(seed):
    rng = np.random.default_rng(seed)
    # Damages are whole numbers: sums in another order are the same.
    choices = [
        [(int(c), float(d)) for c, d in rng.integers(0, 30, (rng.integers(1, 5), 2))]
        for _ in range(rng.integers(1, 6))
    ]
    found = front(choices)
    assert [(one.cost, one.damage) for one in found] == _brute(choices)
    for one in found:
        picked = [layer[pick] for layer, pick in zip(choices, one.picks, strict=True)]
        assert (sum(c for c, _ in picked), sum(d for _, d in picked)) == (one.cost, one.damage)


def test_front_of_many_layers_keeps_sums_that_are_real(monkeypatch):
    rng = np.random.default_rng(0)
    choices = [[(int(c), 1000.0 / c) for c in rng.integers(10, 10_000, 4)] for _ in range(12)]
    exact = front(choices)
    monkeypatch.setattr(_front, "_KEPT", 200)
    few = front(choices)
    assert len(exact) > len(few) and len(few) <= 200
    assert (few[0].cost, few[-1].damage) == (exact[0].cost, pytest.approx(exact[-1].damage))
    assert [one.cost for one in few] == sorted(one.cost for one in few)
    for one in few:  # not far from the exact front
        best = min(other.damage for other in exact if other.cost <= one.cost)
        assert best <= one.damage * (1 + 1e-9) and one.damage < 1.3 * best


@pytest.fixture(scope="module")
def net():
    """Six clusters that lie close together, and a net with one large layer."""
    keras.utils.set_random_seed(0)
    rng = np.random.default_rng(0)
    y = np.arange(240) % 6
    x = (1.2 * rng.normal(size=(6, 12))[y] + rng.normal(size=(240, 12))).astype("float32")
    hidden = [
        LAYERS.Dense(64, activation="relu", name="small"),
        LAYERS.Dense(96, activation="relu", name="large"),
    ]
    model = keras.Sequential(
        [keras.Input((12,)), *hidden, LAYERS.Dense(6, activation="softmax", name="head")]
    )
    model.compile(keras.optimizers.Adam(0.01), "sparse_categorical_crossentropy", metrics=["accuracy"])
    model.fit(x, y, epochs=8, verbose=0)
    return model, (x, y.astype("int32"))


def _written(model, tmp_path):
    tfopt.export(model, tmp_path / "model.tflite")
    return TFLiteFile.read(tmp_path / "model.tflite")


def _levels(kernel):
    return np.abs(kernel.data).max()


@pytest.mark.parametrize(
    "target, form, most, by",
    [
        ("litert", "bytes", 11_600, "loss"),
        pytest.param("tflm", "compressed_bytes", 7_000, "hessian", marks=SLOW),
    ],
)
def test_a_file_within_the_budget(net, tmp_path, target, form, most, by):
    model, data = net
    before = model.get_weights()
    report = tfopt.search(
        model, data, {form: most}, {"weight_bits": (8, 4, 2), "sparsity": (0.0, 0.5)}, target=target, by=by
    )
    assert report.best in report.points and report.measured[form] <= most
    assert report.best.costs == report.measured
    assert [p.costs[form] for p in report.points] == sorted({p.costs[form] for p in report.points})
    losses = [p.loss for p in report.points]
    assert losses == sorted(losses, reverse=True) and losses[0] > losses[-1]
    assert all(np.array_equal(a, b) for a, b in zip(before, model.get_weights(), strict=True))
    assert json.loads(json.dumps(report.to_dict()))["best"]["layers"][0]["path"] == "small"
    text = str(report)
    assert max(map(len, text.splitlines())) <= 80 and "* is within" in text

    q = apply_point(model, report.best, data[0])
    file = _written(q, tmp_path)
    for one, kernel in zip(report.best.layers, file.kernels, strict=True):
        assert np.mean(kernel.data == 0) >= one.sparsity - 0.01
        assert _levels(kernel) <= 2 ** (one.bits - 1) - 1
    assert np.mean(q.predict(data[0], verbose=0).argmax(axis=1) == data[1]) > 0.9

    recipe = report.best.recipe
    assert recipe_of(recipe_text(recipe)) == recipe
    assert recipe.quantize.layers == {one.path: one.bits for one in report.best.layers if one.bits != 8}


@SLOW
def test_the_same_front_again_and_a_recipe_for_compress(net):
    model, data = net
    arguments = ({"bytes": 12_000}, {"weight_bits": (8, 4)})
    report, again = (tfopt.search(model, data, *arguments) for _ in range(2))
    assert report.points == again.points and report.best == again.best
    zeros = {"small": 0.5, "large": 0.8, "head": 0.0}
    layers = tuple(dataclasses.replace(one, sparsity=zeros[one.path]) for one in report.best.layers)
    point = dataclasses.replace(report.best, layers=layers)
    result = tfopt.compress(model, data, point.recipe)
    assert result.passed and result.epochs > 0 and "weights are zero" in result.done["prune"]
    kernels = {layer.name: layer.kernel for layer in result.model.layers if hasattr(layer, "kernel")}
    for one in point.layers:
        assert np.mean(np.asarray(kernels[one.path]) == 0) == pytest.approx(one.sparsity, abs=0.01)
        assert result.model.get_layer(one.path).weight_bits == one.bits


@SLOW
@pytest.mark.parametrize("max_drop", [3.0])
def test_as_few_weights_as_a_drop_allows(net, max_drop):
    model, (x, y) = net
    space = {"weight_bits": (8,), "sparsity": (0.0, 0.5, 0.8, 0.9)}
    report = tfopt.search(model, (x, y), {"nonzeros": None}, space, max_drop=max_drop)
    exact, q = (
        np.mean(m.predict(x, verbose=0).argmax(axis=1) == y)
        for m in (model, apply_point(model, report.best, x))
    )
    assert 100 * (exact - q) == pytest.approx(report.drop, abs=1e-4) and report.drop <= max_drop
    assert report.measured["nonzeros"] < 0.9 * model.count_params()
    assert f"* is within {max_drop:g} lost" in str(report)


def test_a_budget_that_nothing_meets(net):
    model, data = net
    report = tfopt.search(model, data, {"bytes": 100}, {"weight_bits": (8,), "sparsity": (0.0,)}, samples=8)
    assert report.best is None and report.measured is None
    assert "No point is within 100 bytes." in str(report)


@pytest.mark.parametrize(
    "arguments, message",
    [
        (({"flash": 1},), "'budget' argument must be a dict with some of 'bytes', 'compressed_bytes'"),
        (({"bytes": 0},), "'budget' argument must give 'bytes' a number of bytes above 0. Got 0"),
        (({"bytes": None},), "None with a 'max_drop' .* Got .'bytes': None. and max_drop=None"),
        (({"bytes": 9}, {"widths": (1,)}), "'space' argument must have some of the keys .* Got .'widths'"),
        (({"bytes": 9}, {"weight_bits": (9,)}), "bits from 1 to 8 .* Got 9"),
        (({"bytes": 9}, {"sparsity": ()}), "Got an empty list"),
        (({"compressed_bytes": 9},), "needs a target whose runtime decodes kernels"),
    ],
)
def test_errors(net, arguments, message):
    model, data = net
    with pytest.raises(ValueError, match=message):
        tfopt.search(model, data, *arguments)
