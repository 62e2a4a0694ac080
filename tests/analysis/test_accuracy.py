"""Accuracy control: three nets with planted trouble, of which exactly the planted layer is given back."""

from types import SimpleNamespace

import keras
import numpy as np
import pytest

import tfopt
from tfopt.analysis._accuracy import _milder
from tfopt.analysis._fewest import fewest

LAYERS = keras.layers
SLOW = pytest.mark.slow


@pytest.fixture(scope="module")
def trained():
    """Four clusters, which a small net tells apart with room to spare."""
    keras.utils.set_random_seed(0)
    rng = np.random.default_rng(0)
    y = np.arange(400) % 4
    x = (2.0 * rng.normal(size=(4, 12))[y] + rng.normal(size=(400, 12))).astype("float32")
    model = _net()
    model.compile(keras.optimizers.Adam(0.01), "sparse_categorical_crossentropy")
    model.fit(x, y, epochs=12, verbose=0)
    return model.get_weights(), x, y


def _net():
    hidden = [
        LAYERS.Dense(16, activation="relu", name="a"),
        LAYERS.Dense(16, name="b"),
        LAYERS.Dense(16, name="c"),
    ]
    head = LAYERS.Dense(4, activation="softmax", name="d")
    return keras.Sequential([keras.Input((12,)), *hidden, LAYERS.ReLU(name="relu"), head], name="net")


def _weights_outlier(model):
    """A unit of `a` that is always zero, and huge weights of `b` that read it: its other weights round to zero."""
    kernel, bias = model.get_layer("a").get_weights()
    kernel[:, 0], bias[0] = 0.0, -1.0
    model.get_layer("a").set_weights([kernel, bias])
    kernel, bias = model.get_layer("b").get_weights()
    kernel[0] = 500.0
    model.get_layer("b").set_weights([kernel, bias])


def _negative_range(model):
    """Outputs of `b` around -4000, and a bias of `c` that makes up for it: TFLite's range holds 0.

    The kernel of `c` is on its grid: it is the range alone that costs.
    """
    kernel, bias = model.get_layer("b").get_weights()
    model.get_layer("b").set_weights([kernel, bias - 4000.0])
    kernel, bias = model.get_layer("c").get_weights()
    step = np.abs(kernel).max(axis=0) / 127
    kernel = np.round(kernel / step) * step
    model.get_layer("c").set_weights([kernel, bias + 4000.0 * kernel.sum(axis=0)])


def _nothing(model):
    pass


@pytest.mark.parametrize(
    "plant, settings, restored",
    [
        pytest.param(_weights_outlier, {}, [(("b",), "float weights")], marks=SLOW),
        (_negative_range, {}, [(("b", "c"), "16-bit activations")]),
        pytest.param(
            _nothing,
            {"overrides": {"b": {"weight_bits": 2}, "c": {}}},
            [(("b",), "8-bit weights")],
            marks=SLOW,
        ),
        pytest.param(_nothing, {}, [], marks=SLOW),
    ],
    ids=["outlier", "negative range", "few bits", "no trouble"],
)
def test_gives_back_what_was_planted(trained, plant, settings, restored):
    weights, x, y = trained
    model = _net()
    model.set_weights(weights)
    plant(model)
    config = tfopt.QuantConfig(**settings)
    q = tfopt.quantize(model, x, config, max_drop=1.0, validation=(x, y))
    report = q.accuracy
    assert [(row.layers, row.remedy) for row in report.restored] == restored
    assert report.reached and report.drop <= 1.0 and report.exact > 0.97
    after = np.mean(q.predict(x, verbose=0).argmax(axis=1) == y)
    assert report.after == pytest.approx(after, abs=1e-6)
    assert report.sentence() in q.report.warnings and report.sentence().split(": ")[0] in str(report).replace(
        "\n", " "
    )
    if restored:
        assert report.before < report.exact - 0.02
        plain = tfopt.quantize(model, x, config)
        assert np.mean(plain.predict(x, verbose=0).argmax(axis=1) == y) == pytest.approx(
            report.before, abs=1e-6
        )


@SLOW
def test_says_that_it_cannot(trained):
    """An input that 8 bits do not hold, where nothing can be given back."""
    weights, x, y = trained
    model = _net()
    model.set_weights(weights)
    kernel, bias = model.get_layer("a").get_weights()
    model.get_layer("a").set_weights([kernel, bias - 5000.0 * kernel.sum(axis=0)])
    unreached, wide = (
        "NOT reached, with all that can be given back",
        "one step of 19.6 for all of its columns",
    )
    with pytest.warns(UserWarning, match=unreached), pytest.warns(UserWarning, match=wide):
        q = tfopt.quantize(model, x + 5000.0, max_drop=1.0, validation=(x + 5000.0, y))
    assert not q.accuracy.reached and q.accuracy.drop > 1.0


@pytest.mark.parametrize("seed", range(20))
def test_fewest_leaves_none_that_can_be_spared(seed):
    rng = np.random.default_rng(seed)
    worth, costs = rng.random(8), rng.random(8)  # what is foreseen is not what it is worth

    def drop(given):
        return 4.0 - sum(costs[index] for index in given)

    allowed = 4.0 - costs.sum() * rng.uniform(0.3, 1.2)
    chosen, lost = fewest(list(worth), drop, allowed)
    assert lost == drop(chosen) <= max(allowed, drop(frozenset(range(8))))
    assert all(drop(chosen - {index}) > max(allowed, drop(frozenset(range(8)))) for index in chosen)


@pytest.mark.parametrize("needs_float, chosen", [(False, {0}), (True, {1})])
def test_eight_bits_are_given_back_before_float(needs_float, chosen):
    weights, output = SimpleNamespace(rounds=None), SimpleNamespace(rounds=str)
    remedies = [SimpleNamespace(layers=("a",), costs=costs) for costs in (weights, weights, output)]

    def foreseen(given):
        return 0.0 if 1 in given or (0 in given and not needs_float) else 5.0

    assert _milder(remedies, frozenset({1}), 0.0, foreseen, 1.0) == (frozenset(chosen), 0.0)


@pytest.mark.parametrize(
    "function, arguments, message",
    [
        (tfopt.quantization.quantize, {}, "Call tfopt.quantize, which has one"),
        (tfopt.quantize, {"validation": np.ones((4, 2))}, "'validation' argument must hold labels"),
    ],
)
def test_errors(function, arguments, message):
    model = keras.Sequential([keras.Input((2,)), LAYERS.Dense(1)])
    with pytest.raises(ValueError, match=message):
        function(model, np.ones((4, 2)), max_drop=0.5, **arguments)
