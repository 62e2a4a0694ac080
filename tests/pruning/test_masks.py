"""Masks against a stable sort in NumPy. A new pattern adds its own reference here."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

from tfopt.pruning import apply_mask, magnitude_mask, unstructured_mask, zero_count


def reference(scores: np.ndarray, zeros: int) -> np.ndarray:
    """The lowest scores go first, equal ones by position."""
    mask = np.ones(scores.size, bool)
    mask[np.argsort(scores.ravel(), kind="stable")[:zeros]] = False
    return mask.reshape(scores.shape)


@settings(max_examples=60, deadline=None)
@given(
    weight=npst.arrays(
        np.float32,
        npst.array_shapes(max_dims=4, max_side=7),
        # Few distinct values make ties; subnormal, huge and infinite ones try the bit patterns.
        elements=st.one_of(
            st.sampled_from([0.0, -0.0, 0.5, -0.5, 1.0, 1e-42, -1e38, float("inf")]),
            st.floats(-1, 1, width=32),
        ),
    ),
    sparsity=st.one_of(st.floats(0, 0.99), st.sampled_from([0.0, 0.5, 0.99])),
)
def test_count_and_choice_are_exact(weight: np.ndarray, sparsity: float) -> None:
    mask = keras.ops.convert_to_numpy(magnitude_mask(weight, sparsity))
    assert mask.shape == weight.shape
    zeros = min(round(sparsity * weight.size), weight.size - 1)  # one is always kept
    assert np.sum(~mask) == zeros
    np.testing.assert_array_equal(mask, reference(np.abs(weight), zeros))


@settings(max_examples=30, deadline=None)
@given(
    scores=npst.arrays(np.float32, st.integers(1, 40), elements=st.floats(-3, 3, width=32)), data=st.data()
)
def test_scores_of_either_sign(scores: np.ndarray, data: st.DataObject) -> None:
    zeros = data.draw(st.integers(0, scores.size))
    scores = scores + np.float32(0)  # why: -0.0 ranks below 0.0 here, and equal to it in the reference
    mask = keras.ops.convert_to_numpy(unstructured_mask(scores, zeros))
    np.testing.assert_array_equal(mask, reference(scores, zeros))


@pytest.mark.parametrize("zeros", [0, 1, 499, 500, 501, 998, 999, 1000])
@pytest.mark.parametrize(
    "scores",
    [
        np.exp(np.linspace(-80, 80, 1000)),
        np.sinh(np.linspace(-80, 80, 1000)),
        np.where(np.arange(1000) % 2, 0.0, np.linspace(1, 2, 1000)),
        np.where(np.arange(1000) < 999, 1.0, np.inf),
    ],
    ids=["exponential", "both signs", "half pruned", "one far away"],
)
def test_scores_that_interpolation_misjudges(scores: np.ndarray, zeros: int) -> None:
    scores = scores.astype("float32")
    mask = keras.ops.convert_to_numpy(unstructured_mask(scores, zeros))
    np.testing.assert_array_equal(mask, reference(scores, zeros))


@pytest.mark.parametrize("size", [1, 2, 10, 1000])
def test_all_but_one(size: int) -> None:
    weight = np.linspace(-1, 2, size).astype("float32")
    mask = keras.ops.convert_to_numpy(magnitude_mask(weight, (size - 1) / size))
    assert np.flatnonzero(mask).tolist() == [size - 1]


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float32", "float64"])
def test_equal_weights_get_the_exact_count_in_every_dtype(dtype: str) -> None:
    weight = keras.ops.zeros((30, 7), dtype)
    mask = magnitude_mask(weight, 0.8)
    assert keras.ops.convert_to_numpy(mask).ravel().tolist() == [False] * 168 + [True] * 42
    masked = apply_mask(weight + 1, mask)
    assert keras.backend.standardize_dtype(masked.dtype) == dtype
    assert masked.shape == weight.shape
    assert float(keras.ops.sum(keras.ops.cast(masked, "float32"))) == 42


@pytest.mark.parametrize("jit_compile", [None, True])
@pytest.mark.parametrize("zeros", [0, 1, 700, 999, 1000])
def test_compiled_equals_eager(jit_compile: bool | None, zeros: int) -> None:
    scores = np.abs(np.random.default_rng(0).normal(size=(10, 100))).astype("float32").round(1)
    compiled = tf.function(unstructured_mask, jit_compile=jit_compile)
    np.testing.assert_array_equal(compiled(scores, tf.constant(zeros)), reference(scores, zeros))


def test_counts_beyond_the_integers_of_float32() -> None:
    size = 2**24 + 11
    mask = magnitude_mask(np.zeros(size, "float32"), 0.99999999)
    assert np.flatnonzero(keras.ops.convert_to_numpy(mask)).size == size - zero_count(0.99999999, size)
    mask = unstructured_mask(np.zeros(size, "float32"), size - 3)
    assert np.flatnonzero(keras.ops.convert_to_numpy(mask)).tolist() == [size - 3, size - 2, size - 1]


def test_masked_weights_are_positive_zeros_even_where_they_were_not_finite() -> None:
    masked = apply_mask(np.float32([-1.0, np.nan, np.inf, 5.0]), [False, False, False, True])
    assert keras.ops.convert_to_numpy(masked).tobytes() == np.float32([0.0, 0.0, 0.0, 5.0]).tobytes()
