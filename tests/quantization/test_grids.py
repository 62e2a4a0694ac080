"""The pure functions of the int8 grids, against NumPy in float64."""

from functools import partial

import keras
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from keras import ops

from tfopt.kernels._grids import (
    activation_grid,
    fake_quantize,
    nudge_range,
    round_to_grid,
)
from tfopt.kernels._weight_grids import WeightGrid

reals = st.floats(-100, 100, width=32)


@settings(deadline=None)
@given(reals, reals)
def test_nudged_range_holds_an_exact_zero_and_keeps_its_width(a, b):
    lo, hi = min(a, b, 0.0), max(a, b, 0.0)
    minimum, maximum = (float(end) for end in nudge_range(a if a < b else b, max(a, b)))
    step = max((hi - lo) / 255, 1.01e-6 / 255)  # the converter keeps no range narrower than 1e-6
    assert minimum <= 0.0 <= maximum
    assert minimum / step == pytest.approx(round(minimum / step), abs=1e-2)
    assert maximum - minimum == pytest.approx(255 * step, rel=2**-14)
    assert abs(minimum - lo) <= 0.52 * step
    # What the converter computes from the ends is the step, to the last bit.
    assert np.float32((maximum - minimum) / 255) == np.float32(activation_grid(lo, hi)[0])


@settings(deadline=None)
@given(st.integers(0, 2**32 - 1), st.sampled_from([2, 4, 8]))
def test_weights_are_on_their_grid(seed, num_bits):
    rng = np.random.default_rng(seed)
    weight = rng.normal(size=(3, 3, 4, 5)).astype("float32") * 10.0 ** rng.integers(-6, 4, 5)
    weight[rng.random(weight.shape) < 0.5] = 0.0
    top = 2 ** (num_bits - 1) - 1
    rounded = np.asarray(WeightGrid(bits=num_bits).quantize(weight, (-1,)))
    bound = np.abs(weight).max((0, 1, 2))
    codes = rounded / np.where(bound > 0, bound, 1.0) * top
    np.testing.assert_allclose(codes, np.round(codes), atol=1e-2)
    np.testing.assert_array_equal(rounded[weight == 0], 0.0)
    assert (np.abs(rounded - weight) <= 0.51 * bound / top + 1e-30).all()
    np.testing.assert_allclose(np.abs(rounded).max((0, 1, 2)), bound, rtol=2**-14)


def test_weight_gradient_goes_straight_through():
    import tensorflow as tf

    weight = tf.Variable(np.random.default_rng(0).normal(size=(4, 3)).astype("float32"))
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(WeightGrid().quantize(weight, (-1,)) * 3.0)
    np.testing.assert_array_equal(tape.gradient(loss, weight), np.full((4, 3), 3.0))


@given(st.integers(0, 2**32 - 1), st.floats(-10, 0, width=32), st.floats(0.0625, 10, width=32))
def test_activations_are_on_their_grid(seed, lo, hi):
    x = np.random.default_rng(seed).normal(0, 6, 100).astype("float32")
    minimum, maximum = (float(end) for end in nudge_range(lo, hi))
    step = (maximum - minimum) / 255
    expected = np.clip(np.round((x - minimum) / step), 0, 255) * step + minimum
    # A value halfway between two codes may go either way in float32.
    halfway = np.abs((x - minimum) / step % 1 - 0.5) < 1e-3
    for quantize in (fake_quantize, round_to_grid):
        actual = np.asarray(quantize(x, lo, hi))
        np.testing.assert_allclose(actual[~halfway], expected[~halfway], atol=1e-5)


def test_halves_go_where_the_kernels_send_them():
    halves = np.array([0.5, 1.5, 2.5, 2.5 - 1e-5, -0.5], "float32")
    np.testing.assert_array_equal(round_to_grid(halves, -128.0, 127.0), [0, 2, 2, 2, 0])
    np.testing.assert_array_equal(round_to_grid(halves, -128.0, 127.0, ties="up"), [1, 2, 3, 3, 0])
    np.testing.assert_array_equal(round_to_grid(halves, -128.0, 127.0, ties="away"), [1, 2, 3, 3, -1])
    # Code 0 stands for 100 here, and halves go away from there.
    np.testing.assert_array_equal(
        round_to_grid(halves + 99, -28.0, 227.0, ties="away"), [99, 101, 102, 102, 98]
    )


def test_activation_gradient_is_one_inside_and_zero_outside():
    import tensorflow as tf

    x = tf.Variable([-2.0, -0.5, 0.5, 2.0])
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(fake_quantize(x, -1.0, 1.0))
    np.testing.assert_array_equal(tape.gradient(loss, x), [0.0, 1.0, 1.0, 0.0])


def test_eager_graph_and_xla_compute_the_same_grid():
    import tensorflow as tf

    # Halfway zero points are where TensorFlow's own nudging differs under XLA.
    x = np.random.default_rng(0).normal(size=1000).astype("float32")

    def run(**options):
        function = (
            tf.function(lambda lo, hi: fake_quantize(x, lo, hi), **options)
            if options
            else partial(fake_quantize, x)
        )
        return [
            np.asarray(function(tf.constant(lo), tf.constant(hi))) for lo, hi in [(-0.75, 0.75), (-1.0, 0.9)]
        ]

    np.testing.assert_allclose(run(jit_compile=False), run(), atol=1e-6)
    np.testing.assert_allclose(run(jit_compile=True), run(), atol=1e-6)


def test_float16_is_float16():
    x = ops.cast(np.array([0.1, 0.5]), "float16")
    assert keras.backend.standardize_dtype(fake_quantize(x, 0.0, 1.0).dtype) == "float16"
