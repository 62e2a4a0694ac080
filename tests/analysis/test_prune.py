"""Accuracy control of pruning: three nets with planted trouble, of which exactly the planted layer gets fewer zeros."""

import numpy as np
import pytest

from tests.analysis.test_accuracy import _net, trained  # noqa: F401 (a fixture)
from tfopt.analysis import prune

SLOW = pytest.mark.slow


def _useless_weights(model):
    """Large weights of `b` that read units which are always zero: those that matter are the smallest half."""
    kernel, bias = model.get_layer("a").get_weights()
    kernel[:, ::2], bias[::2] = 0.0, -1.0
    model.get_layer("a").set_weights([kernel, bias])
    kernel, bias = model.get_layer("b").get_weights()
    kernel[::2] = 9.0
    model.get_layer("b").set_weights([kernel, bias])


def _two_signals(model):
    """`c` passes on what reads `b` through few, small weights beside larger ones of no use."""
    kernel, bias = model.get_layer("c").get_weights()
    large = np.where(np.arange(16) % 2 == 0, 1.0, -1.0)[:, None] * np.ones((1, 16))
    first, own = model.get_layer("b").get_weights()
    first[:, 1::2], own[1::2] = first[:, ::2], own[::2]  # equal units, whose large weights cancel
    model.get_layer("b").set_weights([first, own])
    model.get_layer("c").set_weights([(0.1 * kernel + 5.0 * large).astype("float32"), bias])


def _nothing(model):
    pass


@pytest.mark.parametrize(
    "plant, sparsity, restored",
    [
        (_useless_weights, 0.5, ["b"]),
        pytest.param(_two_signals, {"b": 0.1, "c": 0.45}, ["c"], marks=SLOW),
        pytest.param(_nothing, {"b": 0.3, "c": 0.97}, ["c"], marks=SLOW),
        pytest.param(_nothing, 0.2, [], marks=SLOW),
    ],
    ids=["useless weights", "two signals", "too many", "no trouble"],
)
def test_gives_back_what_was_planted(trained, plant, sparsity, restored):  # noqa: F811
    weights, x, y = trained
    model = _net()
    model.set_weights(weights)
    plant(model)
    before = model.get_weights()
    exact = np.mean(model.predict(x, verbose=0).argmax(axis=1) == y)
    small = prune(model, sparsity, max_drop=2.0, validation=(x, y), where="b|c")
    report = small.accuracy
    assert [path for row in report.restored for path in row.layers] == restored
    assert report.reached and report.drop <= 2.0 and report.exact == pytest.approx(exact, abs=1e-6)
    after = np.mean(small.predict(x, verbose=0).argmax(axis=1) == y)
    assert report.after == pytest.approx(after, abs=1e-6) and "pruned" in report.sentence()
    for path, part in small.sparsities.items():
        zeros = np.mean(np.asarray(small.get_layer(path).kernel) == 0)
        assert zeros >= part - 0.01
        asked = sparsity[path] if isinstance(sparsity, dict) else sparsity
        assert (part < asked) == (path in restored)
    assert all(np.array_equal(a, b) for a, b in zip(before, model.get_weights(), strict=True))


@SLOW
def test_says_that_it_cannot(trained):  # noqa: F811
    """A metric that no dense layer brings back."""
    weights, x, y = trained
    model = _net()
    model.set_weights(weights)
    calls = []

    def accuracy(y, outputs):
        calls.append(1)
        return 1.0 if len(calls) == 1 else 0.0

    with pytest.warns(UserWarning, match="NOT reached, with all that can be given back"):
        small = prune(model, 0.5, max_drop=0.5, validation=(x, y), metric=accuracy)
    assert not small.accuracy.reached


@pytest.mark.parametrize(
    "sparsity, max_drop, message",
    [
        (1.5, 1.0, r"'sparsity' argument must be a float in \(0, 1\). Got 1.5"),
        ({"z": 0.5}, 1.0, "must name layers of the model. Got 'z'"),
        (0.5, -1, "'max_drop' argument must be a number from 0. Got -1"),
    ],
)
def test_errors(sparsity, max_drop, message):
    with pytest.raises(ValueError, match=message):
        prune(_net(), sparsity, max_drop=max_drop, validation=(np.ones((4, 12)), np.zeros(4)))
