"""Budgets of shapes: channels and ranks that a file is made narrower by, one budget or several at once."""

import dataclasses

import keras
import numpy as np
import pytest

import tfopt
from tfopt.budgets import apply_point
from tfopt.budgets._budgets import BUDGETS, Written
from tfopt.budgets._layer_costs import LayerCosts
from tfopt.budgets._narrowing import narrow
from tfopt.budgets._shapes import Shape, moves_of
from tfopt.recipes import recipe_text
from tfopt.recipes._yaml import recipe_of
from tfopt.runtimes import TFLiteFile
from tfopt.shrinking import count_macs

LAYERS = keras.layers
SLOW = pytest.mark.slow


@pytest.fixture(scope="module")
def net():
    """A residual net: `stem` and `sum` make the same channels, `inner` some of its own."""
    keras.utils.set_random_seed(0)
    inputs = keras.Input((24, 24, 3))
    x = LAYERS.Conv2D(16, 3, padding="same", activation="relu", name="stem")(inputs)
    y = LAYERS.Conv2D(16, 3, padding="same", activation="relu", name="inner")(x)
    y = LAYERS.Conv2D(16, 3, padding="same", name="outer")(y)
    x = LAYERS.ReLU()(LAYERS.Add(name="sum")([x, y]))
    x = LAYERS.Dense(4, activation="softmax", name="head")(LAYERS.GlobalAveragePooling2D()(x))
    model = keras.Model(inputs, x)
    rng = np.random.default_rng(0)
    y = np.arange(64) % 4
    x = (rng.normal(size=(4, 24, 24, 3))[y] + 0.3 * rng.normal(size=(64, 24, 24, 3))).astype("float32")
    return model, (x, y)


def test_moves_are_of_layers_that_go_together(net):
    space = {"channels": (1.0, 0.5), "rank": (1.0, 0.25)}
    moves = [(move.layers, move.field, move.values) for move in moves_of(net[0], space)]
    assert (("outer", "stem"), "channels", (0.5,)) in moves and (("inner",), "channels", (0.5,)) in moves
    assert (("inner",), "ranks", (0.25,)) in moves and len(moves) == 6


def test_a_shape_is_what_shrink_and_factorize_make(net):
    model, _ = net
    small = Shape({"inner": 0.5}, {"outer": 0.25}).make(model)
    assert small.get_layer("inner").filters == 8 and small.get_layer("stem").filters == 16
    assert [row.path for row in small.report.layers if row.ranks] == ["outer"]
    assert small.output_shape == model.output_shape


@pytest.mark.parametrize("limit", [0.8, 0.5])
def test_the_path_goes_by_what_is_lost_for_what_is_saved(net, limit):
    """Losing nothing in `inner` and all in `stem`: `inner` goes first, as far as it takes."""
    model, (x, _) = net
    full = count_macs(model)
    damage = {8: 0.1, 4: 0.3, 12: 0.0}

    def loss(small):
        inner, stem = (small.get_layer(name).filters for name in ("inner", "stem"))
        return damage.get(inner, 0.0) + 10.0 * (16 - stem)

    space = {"channels": (0.75, 0.5, 0.25), "rank": (1.0,)}
    cost = LayerCosts(model, ["macs"], "litert").of
    path = narrow(model, moves_of(model, space), cost, loss, x, {"macs": limit * full})
    costs = [one.costs["macs"] for one in path]
    assert costs == sorted(set(costs), reverse=True) and costs[0] == full and costs[-1] <= limit * full
    inner = [one.model.get_layer("inner").filters for one in path]
    assert inner[:4] == [16, 12, 8, 4][: len(inner)]
    first = next(one for one in path if one.costs["macs"] <= limit * full)
    assert first.model.get_layer("stem").filters == 16


@pytest.mark.parametrize(
    "target, parts, space, said",
    [
        ("litert", {"macs": 0.6}, {}, {"stem": {"channels": 0.75}, "head": {"weight_bits": 4}}),
        pytest.param(
            "tflm", {"arena": 0.8, "compressed_bytes": 0.8}, {"weight_bits": (8, 4)}, {}, marks=SLOW
        ),
        pytest.param("ethos-u", {"cycles": 0.9, "macs": 0.7}, {"channels": (1.0, 0.5)}, {}, marks=SLOW),
        pytest.param(
            "litert",
            {"bytes": 0.99},
            {"weight_bits": (8,), "n_clusters": (0, 16), "rank": (1.0, 0.25)},
            {"inner": {"rank": 0.5}, "outer": {"rank": 1.0, "n_clusters": 0}},
            marks=SLOW,
        ),
    ],
)
def test_every_budget_is_met_as_measured(net, target, parts, space, said):
    model, data = net
    loose = {name: 1e12 for name in parts}
    whole = tfopt.search(
        model, data, loose, {"channels": (1.0,), "weight_bits": (8,), "sparsity": (0.0,)}, target=target
    )
    budget = {name: part * whole.measured[name] for name, part in parts.items()}
    report = tfopt.search(model, data, budget, space, target=target, layers=said)
    _keeps(report.points, said)
    assert report.best is not None and all(report.measured[name] <= most for name, most in budget.items())
    assert report.best in report.points and report.best.costs == report.measured
    for name in parts:
        assert f"{name.replace('_', ' ')}" in str(report) and BUDGETS[name].unit
    recipe = report.best.recipe
    assert recipe_of(recipe_text(recipe)) == recipe
    q = apply_point(model, report.best, data[0])
    assert q.predict(data[0], verbose=0).shape == (64, 4)
    if "macs" in parts:
        assert count_macs(report.best.shape.make(model)) == report.measured["macs"]
        assert dict(recipe.shrink.layers) == dict(report.best.channels)


def _keeps(points, said):
    """Every point has what was decided for single layers."""
    for point in points:
        layers = {one.path: one for one in point.layers}
        has = {"channels": point.channels, "rank": point.ranks}
        for path, row in said.items():
            for name, value in row.items():
                fields = {"weight_bits": "bits", "n_clusters": "n_clusters"}
                got = getattr(layers[path], fields[name]) if name in fields else has[name].get(path, 1.0)
                assert got == value, (path, name)


@pytest.mark.parametrize(
    "said, message",
    [
        ({"inner": {"bits": 4}}, "give 'inner' some of 'weight_bits', .* Got 'bits'"),
        ({"inner": {"weight_bits": 9}}, "give 'inner' one of bits from 1 to 8 .* Got 9"),
        pytest.param(
            {"iner": {"weight_bits": 4}},
            "'weight_bits' to layers that have it: stem, inner, outer, head. Got 'iner'",
            marks=SLOW,
        ),
        pytest.param(
            {"head": {"channels": 0.5}}, "'channels' to layers that have it: .*stem.* Got 'head'", marks=SLOW
        ),
    ],
)
def test_what_cannot_be_decided_for_a_layer(net, said, message):
    model, (x, y) = net
    with pytest.raises(ValueError, match=message):
        tfopt.search(model, (x[:8], y[:8]), {"macs": 1e9}, {"channels": (1.0,)}, layers=said)


class Stopwatch:
    """Milliseconds by the kernels in a file, and by a random part more: what a busy machine measures."""

    def __init__(self, noise: float) -> None:
        self.noise, self.rng = noise, np.random.default_rng(0)

    def __call__(self, written: Written) -> float:
        kernels = TFLiteFile.read(written.path).kernels
        multiplied = sum(np.asarray(kernel.data).size * 24 * 24 for kernel in kernels)
        return (0.1 + 1e-7 * multiplied) * self.rng.uniform(1.0, 1.0 + self.noise)


@SLOW
@pytest.mark.parametrize("noise", [0.0, 0.2])
def test_a_budget_of_time_is_met_as_measured(noise, monkeypatch):
    """Of a net whose convolutions take most of the time: what a call takes by itself cannot be saved."""
    x = np.random.default_rng(0).normal(size=(64, 24, 24, 8)).astype("float32")
    h = inputs = keras.Input((24, 24, 8))
    for number, filters in enumerate((32, 32, 64)):
        h = LAYERS.Conv2D(filters, 3, padding="same", activation="relu", name=f"conv{number}")(h)
    model = keras.Model(inputs, LAYERS.Dense(4)(LAYERS.GlobalAveragePooling2D()(h)))
    data = x, model.predict(x, verbose=0).argmax(axis=1)
    still = {"channels": (1.0,), "weight_bits": (8,), "sparsity": (0.0,)}
    assert 0 < tfopt.search(model, data, {"latency": 1e9}, still).measured["latency"] < 1e4  # by a clock

    row = dataclasses.replace(BUDGETS["latency"], measure=Stopwatch(noise))
    monkeypatch.setitem(BUDGETS, "latency", row)
    whole = tfopt.search(model, data, {"latency": 1e9}, still)
    budget = 0.6 * whole.measured["latency"]
    report = tfopt.search(model, data, {"latency": budget})
    assert report.measured["latency"] <= budget and report.best.channels
    path = report.best.shape.make(model)
    assert count_macs(path) < 0.7 * count_macs(model)


def test_targets_have_their_budgets(net):
    model, data = net
    for target, name in (("litert", "arena"), ("tflm", "cycles")):
        with pytest.raises(ValueError, match=f"'{name}'.* must go with target="):
            tfopt.search(model, data, {name: 1}, target=target)
