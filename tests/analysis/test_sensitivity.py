"""`sensitivity`: it measures what a model with that one layer changed loses, and proxies follow their formulas."""

import json

import keras
import numpy as np
import pytest
from scipy import stats

import tfopt
from tfopt.analysis import TECHNIQUES
from tfopt.analysis._ranks import spearman

LAYERS = keras.layers


@pytest.fixture(scope="module")
def net():
    """A net with a branch, a depthwise kernel, a batch norm, and a layer that is called twice."""
    keras.utils.set_random_seed(0)
    inputs = keras.Input((8, 8, 3), name="image")
    x = LAYERS.Conv2D(8, 3, padding="same", name="conv")(inputs)
    x = LAYERS.ReLU(name="relu")(LAYERS.BatchNormalization(name="norm")(x))
    twice = LAYERS.Conv2D(8, 1, name="twice")
    x = LAYERS.Add(name="add")(
        [twice(twice(x)), LAYERS.DepthwiseConv2D(3, padding="same", name="depthwise")(x)]
    )
    x = LAYERS.GlobalAveragePooling2D(name="mean")(x)
    model = keras.Model(inputs, LAYERS.Dense(4, activation="softmax", name="head")(x), name="net")
    x = np.random.default_rng(0).normal(size=(70, 8, 8, 3)).astype("float32")
    return model, x, model.predict(x, verbose=0).argmax(axis=1)


@pytest.fixture(scope="module")
def report(net):
    model, x, y = net
    return tfopt.sensitivity(model, (x, y), proxies=["output_db", "hessian"])


def _row(report, path, technique):
    return next(row for row in report.rows if (row.path, row.technique) == (path, technique))


def test_a_row_for_each_layer_and_technique(report):
    paths = ["image", "conv", "twice", "add", "depthwise", "mean", "head", "head_softmax"]
    assert sorted({row.path for row in report.rows}) == sorted(paths)
    assert len(report.rows) == len(paths) * len(TECHNIQUES)
    for row in report.rows:
        numbers = (row.loss, row.drop, row.db, row.output_db)
        assert all(one is None for one in numbers) if row.reason else all(one is not None for one in numbers)


# Technique -> the kernel that it makes of one, computed here in another way.
def _by_bits(bits, kernel):
    step = np.abs(kernel).max(axis=(0, 1, 2), keepdims=True) / (2 ** (bits - 1) - 1)
    return np.round(kernel / step) * step


def _by_zeros(part, kernel):
    return np.where(np.abs(kernel) > np.quantile(np.abs(kernel), part), kernel, 0.0)


def _by_pairs(kernel):
    flat = kernel.reshape(-1, 2, 4, kernel.shape[-1])
    return np.where(np.argsort(np.argsort(np.abs(flat), axis=2), axis=2) > 1, flat, 0.0).reshape(kernel.shape)


def _by_channels(kernel):
    size = np.abs(kernel).sum(axis=(0, 1, 2))
    return kernel * (size > np.median(size))


def _by_rank(kernel):
    left, values, right = np.linalg.svd(kernel[0, 0])
    return ((left[:, :4] * values[:4]) @ right[:4])[None, None]


@pytest.mark.parametrize(
    "technique, make",
    [
        ("8-bit weights", lambda kernel: _by_bits(8, kernel)),
        ("4-bit weights", lambda kernel: _by_bits(4, kernel)),
        ("2-bit weights", lambda kernel: _by_bits(2, kernel)),
        ("50 % zeros", lambda kernel: _by_zeros(0.5, kernel)),
        ("80 % zeros", lambda kernel: _by_zeros(0.8, kernel)),
        ("2:4 zeros", _by_pairs),
        ("half the channels", _by_channels),
        ("half the rank", _by_rank),
    ],
)
def test_measures_what_the_changed_model_loses(net, report, technique, make):
    model, x, y = net
    layer = model.get_layer("twice")
    kernel = np.array(layer.kernel)
    loss = keras.losses.SparseCategoricalCrossentropy()
    before = model.predict(x, verbose=0)
    layer.kernel.assign(make(kernel))
    after = model.predict(x, verbose=0)
    layer.kernel.assign(kernel)
    row = _row(report, "twice", technique)
    assert row.loss == pytest.approx(float(loss(y, after) - loss(y, before)), abs=2e-5)
    assert row.drop == pytest.approx(100 * np.mean(after.argmax(axis=1) != y), abs=1e-4)
    noise = 10 * np.log10(np.sum(before**2) / np.sum((after - before) ** 2))
    assert row.db == pytest.approx(noise, abs=0.2)


def test_more_bits_keep_more(report):
    for path in ("conv", "twice", "depthwise", "head"):
        decibels = [_row(report, path, f"{bits}-bit weights").output_db for bits in (8, 4, 2)]
        assert decibels[0] > 35 > decibels[1] > decibels[2]
    for path in ("image", "conv", "add"):
        eight, sixteen = (_row(report, path, f"{bits}-bit activations") for bits in (8, 16))
        assert 25 < eight.output_db < 60 < sixteen.output_db
        assert eight.db < sixteen.db


def test_reasons(report):
    assert _row(report, "head", "half the channels").reason == "its channels are the model's outputs"
    assert _row(report, "depthwise", "half the rank").reason == "DepthwiseConv2D has no factors"
    assert _row(report, "add", "4-bit weights").reason == "no kernel"
    assert _row(report, "head_softmax", "8-bit activations").reason == "its range is fixed"


def test_prints_in_80_columns_and_as_plain_data(report):
    text = str(report)
    assert max(map(len, text.splitlines())) <= 80
    assert "Worst of 2-bit weights: " in text and "Rank correlation with the measured loss: " in text
    assert json.loads(json.dumps(report.to_dict()))["rows"][0]["path"] == "image"
    assert [row.loss for row in report.worst("2-bit weights")] == sorted(
        (row.loss for row in report.rows if row.technique == "2-bit weights" and not row.reason), reverse=True
    )[:3]
    assert set(report.seconds) == {"measured", "output_db", "hessian"}
    # the layers that lose most lose most by the proxies, too
    assert next(one.rank for one in report.correlations if one.proxy == "hessian" and not one.technique) > 0.5


def test_proxies_are_those_of_their_formulas():
    """A linear regression, whose gradients and curvature are known."""
    rng = np.random.default_rng(1)
    x, y = rng.normal(size=(64, 6)).astype("float32"), rng.normal(size=(64, 2)).astype("float32")
    model = keras.Sequential([keras.Input((6,)), LAYERS.Dense(2, name="dense")])
    model.compile(loss="mse")
    found = tfopt.sensitivity(
        model, (x, y), techniques=["2-bit weights", "8-bit activations"], measured=False
    )
    row, rounds = _row(found, "dense", "2-bit weights"), _row(found, "dense", "8-bit activations")
    kernel = np.array(model.layers[0].kernel, "float64")
    step = np.abs(kernel).max(axis=0)
    error = np.round(kernel / step) * step - kernel
    residual = model.predict(x, verbose=0) - y
    gradients = x[:, :, None] * residual[:, None, :]  # of the mean over two outputs of the square
    assert row.fisher == pytest.approx(0.5 * np.sum(np.mean(gradients**2, axis=0) * error**2), rel=1e-3)
    curvature = np.mean(x**2)  # the second derivative by each weight is the mean of x_i^2
    assert row.hessian == pytest.approx(0.5 * curvature * np.sum(error**2), rel=0.25)
    assert row.loss is None and found.correlations == () and rounds.hessian is None and rounds.fisher > 0
    assert "By output_db, on 64 samples." in str(found)


@pytest.mark.parametrize("seed", range(3))
def test_spearman(seed):
    first, second = np.random.default_rng(seed).integers(0, 6, (2, 12))
    assert spearman(first, second) == pytest.approx(stats.spearmanr(first, second).statistic)


def test_other_models_and_data():
    """Two inputs, a recurrent layer, no labels."""
    series, size = keras.Input((5, 3), name="series"), keras.Input((2,), name="size")
    x = LAYERS.Concatenate()([LAYERS.LSTM(4, name="lstm")(series), size])
    model = keras.Model([series, size], LAYERS.Dense(2, name="dense")(x))
    rng = np.random.default_rng(0)
    data = {"series": rng.normal(size=(40, 5, 3)), "size": rng.normal(size=(40, 2))}
    report = tfopt.sensitivity(
        model, data, techniques=["2-bit weights", "90 % zeros"], proxies=[], samples=32
    )
    assert report.samples == 32 and report.metric is None and report.loss == pytest.approx(0.0, abs=1e-9)
    assert "There are no labels" in report.notes[0]
    assert all(row.loss > 0 for row in report.rows if row.path in ("lstm", "dense"))
    assert "Decibels of the outputs on 32 samples." in str(report)


@pytest.mark.parametrize(
    "arguments, message",
    [
        ({"techniques": ["3-bit weights"]}, "'techniques' argument .* Got '3-bit weights'"),
        ({"proxies": ["guess"]}, "'proxies' argument .* Got 'guess'"),
    ],
)
def test_errors(net, arguments, message):
    model, x, _ = net
    with pytest.raises(ValueError, match=message):
        tfopt.sensitivity(model, x, **arguments)
