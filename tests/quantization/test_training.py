"""Ranges in training: averages, learned ranges, delays and freezing, in every way that Keras trains."""

import contextlib

import keras
import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st
from keras import layers

import tfopt
from tests.models import samples_for, trained_like
from tests.strategies import two_devices
from tfopt import QuantConfig, Ranges
from tfopt.quantization import FakeQuantize, FusedBatchNormalization, StepCounter
from tfopt.quantization.simulation._learned_ranges import lsq_quantize, pact_quantize
from tfopt.quantization.simulation._observers import observe

OBSERVERS = ("moving_average", "lsq", "pact")
# The others take the same paths through Keras.
QUICK = ["lsq", *(pytest.param(name, marks=pytest.mark.slow) for name in ("moving_average", "pact"))]


def network():
    inputs = keras.Input((8, 8, 1))
    x = layers.ReLU()(layers.BatchNormalization()(layers.Conv2D(4, 3, name="stem")(inputs)))
    x = layers.Concatenate()([x, layers.Conv2D(2, 1)(x)])
    return keras.Model(inputs, layers.Dense(4)(layers.Flatten()(x)))


def quantized(x, jit_compile=False, optimizer="adam", steps_per_execution=1, **settings):
    ranges = {name: settings.pop(name) for name in ("observer", "freeze_step") if name in settings}
    config = QuantConfig(ranges=Ranges(**ranges), **settings)
    q = tfopt.quantize(trained_like(network()), x[:64], config)
    q.compile(
        optimizer,
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        jit_compile=jit_compile,
        steps_per_execution=steps_per_execution,
    )
    return q


def limits(model):
    return {
        layer.name: np.array([float(end) for end in layer.range()])
        for layer in model.layers
        if isinstance(layer, FakeQuantize)
    }


def moved(before, after):
    return [name for name in before if not np.array_equal(before[name], after[name])]


@settings(deadline=None)
@given(st.integers(0, 6), st.floats(0.5, 0.999), st.integers(1, 6), st.integers(0, 99))
def test_the_average_is_debiased(calibrated, momentum, steps, seed):
    """It equals the weighted mean of the calibrated range and all batches, older ones weighing less."""
    highs = np.random.default_rng(seed).uniform(1, 5, steps)
    statistics = np.array([[-1.0, 3.0, momentum**calibrated if calibrated else 1.0]], "float32")
    for high in highs:
        statistics = np.asarray(observe((-high, high), statistics, 0, momentum))
    ages = np.arange(steps)[::-1]
    weights = (1 - momentum) * momentum**ages
    prior = momentum**steps * (1 - momentum**calibrated)
    expected = (prior * 3.0 + np.sum(weights * highs)) / (prior + weights.sum())
    assert statistics[0, 1] == pytest.approx(expected, rel=1e-3)


def test_lsq_gradients():
    """Those of the paper, equations 3 and 5: inside, at both ends, and for the step."""
    x = tf.Variable([[-3.0, -0.4, 0.3, 1.2, 9.0]])
    clip = tf.Variable(1.0)
    lo, hi = -0.5, 2.05  # a step of 0.01
    with tf.GradientTape() as tape:
        y = lsq_quantize(x, lo, hi, clip)
    (dx, dclip) = tape.gradient(y, [x, clip])
    step = (hi - lo) / 255
    codes = np.clip(np.asarray(x)[0] / step, -50, 205)
    inside = np.array([0, 1, 1, 1, 0])
    slope = np.where(inside, np.round(codes) - codes, codes) * step
    np.testing.assert_array_equal(dx[0], inside)
    np.testing.assert_allclose(dclip, slope.sum() / np.sqrt(5 * 205), rtol=1e-3)
    np.testing.assert_allclose(y[0], np.round(codes) * step, atol=1e-5)


def test_pact_gradients():
    """An end that clips a value gets its gradient, and nothing else does."""
    x = tf.Variable([-3.0, -0.4, 0.3, 1.2, 9.0, 8.0])
    clip = tf.Variable(1.0)
    with tf.GradientTape() as tape:
        y = tf.reduce_sum(pact_quantize(x, -0.5, 2.05, clip) * [1.0, 1.0, 1.0, 1.0, 2.0, 3.0])
    dx, dclip = tape.gradient(y, [x, clip])
    np.testing.assert_array_equal(dx, [0, 1, 1, 1, 0, 0])
    np.testing.assert_allclose(dclip, -0.5 + (2 + 3) * 2.05, rtol=1e-3)


@pytest.mark.parametrize("observer", OBSERVERS)
def test_training_moves_ranges_and_freezing_stops_them(blobs, observer):
    """Also what an optimizer with momentum would go on moving."""
    x, y = blobs
    q = quantized(x, observer=observer, freeze_step=4)
    start = limits(q)
    q.fit(x, y, 64, verbose=0)  # 4 steps
    middle = limits(q)
    assert len(moved(start, middle)) >= 3
    q.fit(x, y, 64, verbose=0)
    if observer == "moving_average":
        assert moved(middle, limits(q)) == []
    kept = limits(q)
    q.fit(x, y, 64, verbose=0)
    assert moved(kept, limits(q)) == []


@pytest.mark.slow
@pytest.mark.parametrize("observer", OBSERVERS)
@pytest.mark.parametrize("way", [{"jit_compile": True}, {"steps_per_execution": 4}])
def test_every_way_of_training_is_the_same(blobs, observer, way):
    x, y = blobs
    settings = {"observer": observer, "delay": 2, "freeze_step": 6, "freeze_batch_norm_step": 6}
    results = []
    for options in ({}, way):
        keras.utils.set_random_seed(3)
        q = quantized(x, **settings, **options)
        q.fit(x, y, 32, shuffle=False, verbose=0)
        results.append(q)
    for one, other in zip(results[0].weights, results[1].weights, strict=True):
        np.testing.assert_allclose(other, one, atol=2e-2, err_msg=one.path)
    assert int(results[1].get_layer("step_counter").steps) == 8


@pytest.mark.slow
@pytest.mark.parametrize("observer", OBSERVERS)
def test_two_replicas_train(blobs, observer):
    x, y = blobs
    results = []
    for scope in (contextlib.nullcontext(), two_devices().scope()):
        keras.utils.set_random_seed(3)
        with scope:
            q = quantized(x, observer=observer, optimizer=keras.optimizers.SGD(0.01), delay=1, freeze_step=3)
        q.fit(x, y, 64, shuffle=False, verbose=0)
        results.append(q)
    one, two = results
    np.testing.assert_array_equal(two.get_layer("step_counter").steps, 4)
    for a, b in zip(one.weights, two.weights, strict=True):
        # Batch statistics are those of a replica's half of the batch.
        if a.name in ("clip", "frozen_clip", "kernel"):
            np.testing.assert_allclose(b, a, atol=0.02, err_msg=a.path)


@pytest.mark.parametrize("observer", QUICK)
def test_a_loaded_model_goes_on_as_if_it_had_not_stopped(blobs, observer, tmp_path):
    x, y = blobs
    options = {"observer": observer, "delay": 2, "freeze_step": 6, "freeze_batch_norm_step": 7}
    q = quantized(x, **options)
    fit = {"batch_size": 64, "shuffle": False, "verbose": 0}
    q.fit(x, y, **fit)
    q.save(tmp_path / "q.keras")
    loaded = keras.models.load_model(tmp_path / "q.keras")
    for model in (q, loaded):
        model.fit(x, y, **fit)
    for one, other in zip(q.weights, loaded.weights, strict=True):
        np.testing.assert_allclose(other, one, atol=1e-6, err_msg=one.path)
    assert int(loaded.get_layer("step_counter").steps) == 8


def test_a_delay_trains_in_float_and_evaluates_on_the_grid(blobs):
    x, y = blobs
    model = trained_like(network())
    results = []
    for one in (model, tfopt.quantize(model, x, QuantConfig(weight_bits=2, delay=4))):
        one.compile(
            keras.optimizers.SGD(0.01),
            keras.losses.SparseCategoricalCrossentropy(from_logits=True),
            jit_compile=False,
        )
        one.fit(x, y, 64, shuffle=False, verbose=0)
        results.append(one)
    floats, q = results
    for one in ("stem",):
        np.testing.assert_allclose(q.get_layer(one).kernel, floats.get_layer(one).kernel, atol=1e-5)
    inside = q(x, training=False)
    assert np.abs(np.asarray(inside) - np.asarray(floats(x, training=False))).max() > 0.1
    q.fit(x, y, 64, shuffle=False, verbose=0)
    floats.fit(x, y, 64, shuffle=False, verbose=0)
    assert (
        np.abs(np.asarray(q.get_layer("stem").kernel) - np.asarray(floats.get_layer("stem").kernel)).max()
        > 1e-4
    )


@pytest.mark.parametrize("shape", [(6, 5, 5, 4), (6, 4)], ids=["fused kernel", "stock code"])
def test_frozen_batch_norms_compute_as_in_inference(shape):
    x = np.random.default_rng(0).normal(3.0, 2.0, shape).astype("float32")
    norm, counter = FusedBatchNormalization(), StepCounter(freeze_batch_norm_step=2)
    norm.set_counter(counter)
    stock = layers.BatchNormalization()
    step = tf.function(lambda: norm(counter(x, training=True), training=True))
    for _ in range(2):
        np.testing.assert_allclose(step(), stock(x, training=True), atol=1e-4)
    kept = [np.array(weight) for weight in norm.weights]
    np.testing.assert_allclose(step(), norm(x, training=False), atol=1e-5)
    for one, other, theirs in zip(norm.weights, kept, stock.weights, strict=True):
        np.testing.assert_array_equal(one, other)
        np.testing.assert_allclose(one, theirs, rtol=1e-4)


@pytest.mark.slow
@pytest.mark.parametrize(
    "settings", [{"weight_bits": 4}, {"weight_bits": 1}, {"granularity": "tensor"}], ids=str
)
def test_pruned_zeros_stay_exact(blobs, settings, tmp_path):
    x, y = blobs
    q = quantized(x, freeze_step=6, **settings)
    pruning = tfopt.Pruning(tfopt.ConstantSparsity(0.5), where="conv|stem")
    q.fit(x, y, 64, epochs=2, verbose=0, callbacks=[pruning])
    kernel = np.asarray(q.get_layer("stem").kernel)
    assert (kernel == 0).mean() >= 0.5
    np.testing.assert_array_equal(np.asarray(q.get_layer("stem").weights_and_rounded()[1])[kernel == 0], 0.0)
    assert tfopt.export(q, tmp_path / "a.tflite").sparsity > 0.02
    assert tfopt.verify(q, tmp_path / "a.tflite", x[:64], tolerance=2).passed


@pytest.mark.parametrize("make", [lambda: keras.layers.Dense(3, "relu"), lambda: keras.layers.Conv1D(3, 2)])
def test_a_large_kernel_that_is_rounded_twice_trains_to_the_same_bits(make, monkeypatch) -> None:
    def trained(large: int) -> list[np.ndarray]:
        monkeypatch.setattr("tfopt.quantization.simulation._recomputed.LARGE", large)
        keras.utils.set_random_seed(0)
        model = keras.Sequential([keras.Input((6, 4)), make(), keras.layers.Flatten(), keras.layers.Dense(2)])
        x = np.random.default_rng(0).normal(size=(16, 6, 4)).astype("float32")
        q = tfopt.quantize(model, x)
        q.compile(keras.optimizers.SGD(0.1), "mse", jit_compile=False)
        q.fit(x, x[:, 0, :2], epochs=2, batch_size=8, shuffle=False, verbose=0)
        return q.get_weights()

    for once, twice in zip(trained(10**9), trained(1), strict=True):
        np.testing.assert_array_equal(once, twice)


@pytest.mark.parametrize("policy", ["float32", "mixed_bfloat16", "mixed_float16"])
def test_between_layers_a_step_moves_what_the_policy_says(policy):
    """In training; inference needs a code times its step, and a loss the outputs, in float32."""
    hidden = [layers.Dense(4, "relu", dtype=policy, name=f"hidden_{at}") for at in range(2)]
    model = keras.Sequential([keras.Input((3,)), *hidden, layers.Dense(2, dtype=policy, name="scores")])
    x = samples_for(model, 8)
    q = tfopt.quantize(trained_like(model), x)
    found = [layer for layer in q.layers if isinstance(layer, FakeQuantize)]
    inside = keras.Model(q.input, {layer.name: layer.output for layer in found})
    written = {
        training: {
            name: keras.backend.standardize_dtype(value.dtype)
            for name, value in inside(x, training=training).items()
        }
        for training in (True, False)
    }
    moved = policy.removeprefix("mixed_")
    inner = {name: dtype for name, dtype in written[True].items() if name.startswith("hidden")}
    assert len(inner) == 2 and set(inner.values()) == {moved}
    assert {dtype for name, dtype in written[True].items() if name not in inner} == {"float32"}
    assert set(written[False].values()) == {"float32"}
