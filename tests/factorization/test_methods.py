"""Convolutions by each method: exact at full rank, what was asked for at less, and which are left whole."""

import keras
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from keras import layers

import tfopt
from tests.factorization.test_factorize import close, random_weights
from tfopt.factorization import factorize
from tfopt.factorization._convolutions import METHODS
from tfopt.factorization._polyadic import composed, orthogonal_spectrum, polyadic, polyadic_spectrum

# Layer -> (the shape of its input without the batch, its full rank by CP).
CONVOLUTIONS = {
    "same": (lambda: layers.Conv2D(6, 3, padding="same", activation="relu"), (7, 8, 5), 30),
    "valid": (lambda: layers.Conv2D(4, (3, 2), use_bias=False), (7, 8, 5), 20),
    "strided": (lambda: layers.Conv2D(6, 3, strides=2, padding="same"), (9, 8, 5), 30),
    "dilated": (lambda: layers.Conv2D(6, 3, dilation_rate=2), (9, 8, 5), 30),
    "one input": (lambda: layers.Conv2D(6, 3), (9, 8, 1), 6),
    "Conv1D": (lambda: layers.Conv1D(6, 3, strides=2), (9, 5), 15),
    "open sizes": (lambda: layers.Conv2D(6, 3, padding="same"), (None, None, 5), 30),
}


def one_layer(name: str) -> keras.Model:
    make, shape, _ = CONVOLUTIONS[name]
    layer = make()
    layer.name = "layer"
    return random_weights(keras.Sequential([keras.Input(shape), layer]))


@pytest.mark.parametrize("name", CONVOLUTIONS)
def test_all_terms_compute_the_same(name):
    model, rank = one_layer(name), CONVOLUTIONS[name][2]
    shape = (16, *(size or 6 for size in model.input_shape[1:]))
    x = np.random.default_rng(1).normal(size=shape).astype("float32")
    expected = model(x)
    for calibration in (None, x):
        full = tfopt.factorize(model, ranks={"layer": rank}, method="cp", calibration=calibration)
        np.testing.assert_allclose(full(x), expected, rtol=1e-4, atol=1e-4 * np.abs(expected).max())
        (row,) = full.report.layers
        assert row.ranks == (rank,) and row.error < 1e-6
        assert [type(layer).__name__[:9] for layer in full.layers[-2:]] == [
            "Depthwise",
            type(model.layers[0]).__name__,
        ]
    with pytest.raises(ValueError, match=f"1 whole number, at most {rank}"):
        tfopt.factorize(model, ranks={"layer": rank + 1}, method="cp")


@settings(deadline=None, max_examples=100)
@given(shape=st.tuples(*[st.integers(1, 4)] * 4), seed=st.integers(0, 99), data=st.data())
def test_terms_keep_at_least_the_energy_that_is_sure(shape, seed, data):
    kernel = np.random.default_rng(seed).normal(size=shape)
    squares, expected = orthogonal_spectrum(kernel), polyadic_spectrum(kernel)
    energy = float(np.sum(kernel**2))
    np.testing.assert_allclose([squares.sum(), expected.sum()], energy, rtol=1e-9)
    assert (expected >= 0).all() and (np.cumsum(expected) >= np.cumsum(squares) - 1e-9 * energy).all()
    rank = data.draw(st.integers(1, len(squares)))
    terms = polyadic(kernel, rank)
    error = float(np.sum((kernel - composed(terms, shape[:2])) ** 2))
    assert error <= squares[rank:].sum() + 1e-9 * energy
    lengths = [np.linalg.norm(one, axis=0) for one in terms]
    np.testing.assert_allclose(lengths[0], lengths[1], rtol=1e-6)
    # Terms that grow and cancel each other would not survive a grid of 8 bits.
    assert np.sum(np.prod(lengths, axis=0) ** 2) <= 8 * energy + 1e-9


def test_terms_are_closer_than_tucker_at_the_same_cost():
    """Of kernels that are smooth in their positions, as trained ones are."""
    rng = np.random.default_rng(0)
    terms = [rng.normal(size=(size, 12)) for size in (9, 16, 24)]
    kernel = np.einsum("pr,sr,tr->pst", *terms) + 0.3 * rng.normal(size=(9, 16, 24))
    model = keras.Sequential([keras.Input((8, 8, 16)), layers.Conv2D(24, 3, use_bias=False, name="conv")])
    model.set_weights([kernel.reshape(3, 3, 16, 24).astype("float32")])
    errors = {}
    for method in METHODS:
        small = tfopt.factorize(model, params=0.25, method=method)
        assert small.count_params() <= 0.25 * model.count_params()
        errors[method] = small.report.layers[0].error
    assert errors["cp"] < 0.5 * errors["tucker"], errors


def test_what_has_no_depthwise_convolution_is_left_whole():
    x = image = keras.Input((6, 6, 6, 2))
    x = layers.Reshape((36, 12))(layers.Conv3D(2, 3, padding="same", name="volume")(x))
    x = layers.Conv1D(12, 3, padding="causal", name="causal")(x)
    x = layers.Conv2D(12, 3, strides=(1, 2), name="uneven")(layers.Reshape((6, 6, 12))(x))
    model = random_weights(keras.Model(image, layers.Dense(4, name="dense")(x)))
    small = tfopt.factorize(model, ranks={"dense": 4}, method="cp")
    reasons = {row.path: row.reason for row in small.report.layers if row.reason}
    assert {path: reason.split(":")[0] for path, reason in reasons.items()} == {
        "volume": "there is no depthwise Conv3D",
        "causal": "no depthwise convolution has its padding",
        "uneven": "no depthwise convolution has its strides",
    }
    assert close(small, model)
    assert all(reason.endswith("method='tucker' factorizes it") for reason in reasons.values())


def milliseconds(model: keras.Model) -> float:
    """A clock that goes by multiplications, and by layers: a model of many small ones is no faster."""
    return 1e-3 * tfopt.count_macs(model) + 20.0 * sum(bool(layer.weights) for layer in model.layers)


@pytest.fixture(scope="module")
def net() -> keras.Model:
    x = image = keras.Input((8, 8, 16))
    x = layers.Conv2D(32, 3, padding="same", activation="relu", name="large")(x)
    x = layers.Conv2D(4, 3, name="small")(x)
    return random_weights(keras.Model(image, layers.Dense(4, name="dense")(layers.Flatten()(x))))


@pytest.mark.parametrize("method", METHODS)
def test_a_budget_of_time_takes_apart_what_is_slower_whole(net, method):
    whole = milliseconds(net)
    small = factorize(net, latency=0.6 * whole, method=method, latency_of=milliseconds)
    assert 0.5 * whole <= milliseconds(small) <= 0.6 * whole
    done = {row.path: bool(row.ranks) for row in small.report.layers}
    # 9 of 10 multiplications are in one layer; the clock charges the last one more for two layers than for its own.
    assert done["large"] and not done["dense"]
    assert {row.reason for row in small.report.layers if not row.ranks} == {"its factors are not faster"}
    same = factorize(net, latency=2 * whole, method=method, latency_of=milliseconds)
    assert {row.reason for row in same.report.layers} == {"the model is fast enough"}
    with pytest.raises(ValueError, match=r"'latency' argument must be at least about [\d.]+ ms, .* Got 1 ms"):
        factorize(net, latency=1.0, method=method, latency_of=milliseconds)


@pytest.mark.slow
def test_time_is_that_of_the_file():
    x = image = keras.Input((32, 32, 64))
    model = random_weights(keras.Model(image, layers.Conv2D(64, 3, padding="same", name="conv")(x)))
    # A third of the time, with a fifth of the multiplications: busy machines measure whole and parts alike.
    whole = tfopt.factorize(model, latency=1e6)
    small = tfopt.factorize(model, latency=0.5 * tfopt._int8_latency.int8_latency(whole))
    assert small.report.layers[0].ranks and small.report.macs[1] < 0.6 * small.report.macs[0]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"energy": 0.5, "method": "svd"}, "'method' argument must be 'tucker' or 'cp'. Got 'svd'"),
        (
            {"latency": 1.0},
            "'latency_of' argument must say how to measure latency=1.0. Got none: call tfopt.factorize",
        ),
        ({"latency": 0}, "'latency' argument must be milliseconds, above 0. Got 0"),
    ],
)
def test_errors_teach(arguments, words, net):
    with pytest.raises(ValueError, match=words):
        factorize(net, **arguments)
