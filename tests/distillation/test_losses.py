"""Every loss against NumPy in float64, value and gradient; its invariances; low precision; its config.

A new loss adds a row to LOSSES.
"""

import dataclasses
import json
from collections.abc import Callable

import keras
import numpy as np
import pytest
import tensorflow as tf

import tfopt.distillation as td
from tests.distillation.references import (
    angles,
    attention,
    bernoulli,
    bounded,
    centered_mse,
    decoupled,
    dist,
    distances,
    kl,
    log_softmax,
    normal,
    similarity,
    softmax,
)


@dataclasses.dataclass(frozen=True)
class Row:
    """One loss: its pure function, its reference, shapes of teacher and student, and the Keras object over it."""

    function: Callable
    reference: Callable
    shapes: tuple
    loss: keras.losses.Loss
    extra: tuple = ()
    zero_at_equality: bool = True


LABELS = np.array([0, 2, 1, 3, 0])


VALUES = normal((5, 4), 7)


BATCH = ((5, 3, 2), (5, 7))


LOSSES = {
    "soft_targets": Row(
        lambda t, s: td.soft_targets(t, s, 3.0),
        lambda t, s: 9 * kl(softmax(t / 3), softmax(s / 3)),
        ((5, 4), (5, 4)),
        td.SoftTargets(3.0, from_logits=True),
    ),
    "logit_mse": Row(td.logit_mse, centered_mse, ((5, 4), (5, 4)), td.LogitMSE(from_logits=True)),
    "logit_mse of positions": Row(
        td.logit_mse, centered_mse, ((5, 3, 4), (5, 3, 4)), td.LogitMSE(from_logits=True)
    ),
    "decoupled_targets": Row(
        td.decoupled_targets,
        decoupled,
        ((5, 4), (5, 4)),
        td.DecoupledTargets(from_logits=True),
        extra=(LABELS,),
    ),
    "binary_soft_targets": Row(
        lambda t, s: td.binary_soft_targets(t, s, 3.0),
        lambda t, s: bernoulli(t, s, 3.0),
        ((5, 4), (5, 4)),
        td.BinarySoftTargets(3.0, from_logits=True),
    ),
    "dist_relations": Row(
        lambda t, s: td.dist_relations(t, s, 2.0, 0.5, 3.0),
        lambda t, s: dist(t, s, 2.0, 0.5, 3.0),
        ((5, 4), (5, 4)),
        td.DIST(2.0, 0.5, 3.0, from_logits=True),
    ),
    "dist_relations of positions": Row(
        td.dist_relations, dist, ((5, 3, 4), (5, 3, 4)), td.DIST(from_logits=True)
    ),
    "output matching": Row(
        td.OutputMatching().call,
        lambda t, s: ((t - s) ** 2).mean(-1),
        ((5, 3, 4), (5, 3, 4)),
        td.OutputMatching(),
    ),
    "output matching by a Keras loss": Row(
        td.OutputMatching(keras.losses.Huber(0.5)).call,
        lambda t, s: (0.5 * np.where(abs(t - s) < 0.5, (t - s) ** 2, abs(t - s) - 0.25)).mean(-1),
        ((5, 4), (5, 4)),
        td.OutputMatching(keras.losses.Huber(0.5)),
    ),
    "feature_mse": Row(
        td.feature_mse, lambda t, s: ((t - s) ** 2).mean(-1), ((5, 3, 4), (5, 3, 4)), td.FeatureMatching()
    ),
    "hidden states": Row(
        td.feature_mse, lambda t, s: ((t - s) ** 2).mean(-1), ((5, 3, 4), (5, 3, 4)), td.HiddenStates()
    ),
    "attention_transfer": Row(
        td.attention_transfer, attention, ((5, 3, 2, 4), (5, 3, 2, 6)), td.AttentionTransfer()
    ),
    "similarity_preserving": Row(td.similarity_preserving, similarity, BATCH, td.SimilarityPreserving()),
    "relational_distances": Row(td.relational_distances, distances, BATCH, td.RelationalKD(angle=0.0)),
    "relational_angles": Row(td.relational_angles, angles, BATCH, td.RelationalKD(distance=0.0, angle=1.0)),
    "relational_kd": Row(
        lambda t, s: td.relational_distances(t, s) + 2.0 * td.relational_angles(t, s),
        lambda t, s: distances(t, s) + 2.0 * angles(t, s),
        BATCH,
        td.RelationalKD(),
    ),
    "attention_map_mse": Row(
        td.attention_map_mse,
        lambda t, s: ((t - s) ** 2).mean((1, 2, 3)),
        ((5, 2, 3, 4), (5, 2, 3, 4)),
        td.AttentionMaps(["mha"]),
    ),
    "bounded_regression": Row(
        td.bounded_regression,
        bounded,
        ((5, 4), (5, 4)),
        td.BoundedRegression(),
        extra=(VALUES,),
        zero_at_equality=False,
    ),
}


EVERY = pytest.mark.parametrize("row", LOSSES.values(), ids=LOSSES)


def examples(row, scale=1.0, dtype="float64"):
    return tuple(normal(shape, seed, scale).astype(dtype) for seed, shape in enumerate(row.shapes))


def value_and_gradient(row, t, s):
    s = tf.convert_to_tensor(s)
    with tf.GradientTape() as tape:
        tape.watch(s)
        loss = row.function(t, s, *row.extra)
        total = tf.reduce_sum(loss)
    return loss.numpy(), tape.gradient(total, s).numpy()


@EVERY
def test_value_and_gradient_equal_the_reference(row):
    t, s = examples(row, scale=2.0)
    value, gradient = value_and_gradient(row, t, s)
    assert value.dtype == np.float64
    np.testing.assert_allclose(value, row.reference(t, s, *row.extra), rtol=1e-9, atol=1e-12)
    step = 1e-5
    for seed in range(3):
        direction = normal(s.shape, 10 + seed)
        up, down = (row.reference(t, s + sign * step * direction, *row.extra).sum() for sign in (1, -1))
        slope = (up - down) / (2 * step)
        assert abs(slope) > 1e-6
        np.testing.assert_allclose((gradient * direction).sum(), slope, rtol=1e-5)


@EVERY
def test_the_object_is_the_mean_of_the_function(row):
    t, s = examples(row)
    w = np.random.default_rng(3).uniform(0, 2, 5)
    per_sample = row.reference(t, s, *row.extra)
    weights = w.reshape(-1, *(1,) * (per_sample.ndim - 1))
    loss, teacher = row.loss, (t, *row.extra) if row.extra else t
    np.testing.assert_allclose(loss(teacher, s), per_sample.mean(), rtol=1e-5)
    if isinstance(loss, td.AttentionMaps):
        return  # compares queries and keys; below
    if isinstance(loss, td.FeatureLoss):
        got = loss.compare([t], [s], w)
    else:  # for positions, as in Keras' own losses, weights have the positions' axes too
        shaped = np.broadcast_to(weights, per_sample.shape)
        got = loss.compare(t, s, shaped, row.extra[0] if row.extra else None)
    np.testing.assert_allclose(got, (per_sample * weights).mean(), rtol=1e-5)


def test_attention_maps_are_made_from_queries_and_keys():
    (tq, tk), (sq, sk) = ([normal((5, n, heads, 3), i) for i, n in enumerate((2, 4))] for heads in (2, 4))
    w = np.linspace(0, 2, 5)
    scores = [np.einsum("bthd,bshd->bhts", q, k) / 3**0.5 for q, k in ((tq, tk), (sq, sk))]
    expected = ((scores[0].mean(1) - scores[1].mean(1)) ** 2).mean((1, 2))
    got = td.AttentionMaps(["mha"]).compare([tq, tk], [sq, sk], w)
    np.testing.assert_allclose(got, (expected * w).mean(), rtol=1e-5)
    grouped = td.AttentionMaps(["mha"]).compare([tq, tk[:, :, :1]], [tq, np.repeat(tk[:, :, :1], 2, 2)])
    np.testing.assert_allclose(grouped, 0.0, atol=1e-12)


@EVERY
def test_equal_models_have_no_loss_and_no_gradient(row):
    t, _ = examples(row)
    value, gradient = value_and_gradient(row, t, t.copy())
    if row.zero_at_equality:
        np.testing.assert_allclose(value, 0.0, atol=1e-12)
        np.testing.assert_allclose(gradient, 0.0, atol=1e-9)
    assert np.isfinite(gradient).all()


@EVERY
@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_low_precision_is_computed_in_float32(row, dtype):
    t, s = (tf.cast(x, dtype) for x in examples(row, scale=30.0))
    value, gradient = value_and_gradient(row, t, s)
    assert value.dtype == np.float32
    assert np.isfinite(value).all() and np.isfinite(gradient.astype("float32")).all()
    # Nothing is a special case for what a dead layer returns: all zeros, for both or one of the models.
    for a, b in ((t, tf.zeros_like(s)), (tf.zeros_like(t), s), (tf.zeros_like(t), tf.zeros_like(s))):
        value, gradient = value_and_gradient(row, a, b)
        assert np.isfinite(value).all() and np.isfinite(gradient.astype("float32")).all()


@EVERY
def test_config_round_trip(row):
    loss = row.loss
    copy = keras.saving.deserialize_keras_object(
        json.loads(json.dumps(keras.saving.serialize_keras_object(loss)))
    )
    assert type(copy) is type(loss)
    assert copy.get_config() == loss.get_config()


def test_decoupled_targets_take_labels_in_every_form():
    t, s = normal((5, 4), 0), normal((5, 4), 1)
    loss = td.DecoupledTargets(from_logits=True)
    expected = decoupled(t, s, LABELS).mean()
    for labels in (LABELS, LABELS[:, None], np.eye(4)[LABELS]):
        np.testing.assert_allclose(loss((t, labels), s), expected, rtol=1e-5)
    np.testing.assert_allclose(loss(t, s), decoupled(t, s, t.argmax(-1)).mean(), rtol=1e-5)
    # One column is the two classes (p, 1 - p): label 1 is the first.
    column_t, column_s, y = t[:, :1], s[:, :1], np.array([1, 0, 1, 1, 0])
    two = [np.concatenate([x, 0 * x], -1) for x in (column_t, column_s)]
    for labels in (y, y[:, None]):
        np.testing.assert_allclose(
            loss((column_t, labels), column_s), decoupled(*two, 1 - y).mean(), rtol=1e-5
        )


def test_probabilities_serve_as_logits():
    t, s = normal((5, 4), 0), normal((5, 4), 1)
    for make in (td.LogitMSE, td.DecoupledTargets):
        from_logits = make(from_logits=True)(t, s)
        np.testing.assert_allclose(
            make()(np.exp(log_softmax(t)), np.exp(log_softmax(s))), from_logits, rtol=1e-4
        )


def test_heads_and_grids_that_differ():
    t, s = normal((2, 4, 3, 3), 0), normal((2, 2, 3, 3), 1)
    expected = ((t.mean(1) - s.mean(1)) ** 2).mean((1, 2))
    np.testing.assert_allclose(td.attention_map_mse(t, s), expected, rtol=1e-9)
    fine = np.repeat(np.repeat(normal((2, 3, 3, 2), 2, 1.0) * 0 + 1.0, 2, 1), 2, 2)
    coarse = np.ones((2, 3, 3, 2))
    for loss in (td.FeatureMatching(), td.AttentionTransfer()):
        np.testing.assert_allclose(loss.compare([fine], [coarse]), 0.0, atol=1e-6)
        np.testing.assert_allclose(loss.compare([coarse], [fine]), 0.0, atol=1e-6)


def test_the_margin_of_bounded_regression():
    t, s, y = np.array([[1.0]]), np.array([[0.9]]), np.array([[0.0]])
    np.testing.assert_allclose(td.BoundedRegression()((t, y), s), 0.0)
    np.testing.assert_allclose(td.BoundedRegression(margin=0.5)((t, y), s), 0.81, rtol=1e-6)
    with pytest.raises(ValueError, match=r"BoundedRegression needs the true values .* Pass y to fit"):
        td.BoundedRegression()(t, s)


@pytest.mark.parametrize("shape", [(7, 10), (15, 4), (33, 3), (100_000, 7)])
def test_what_rounding_alone_keeps_apart_has_no_relations(shape):
    """Equal numbers less their mean are not all 0: of norm 1 they would be noise, with gradients of 1e7."""
    teacher, student = tf.constant(normal(shape, 0), "float32"), tf.fill(shape, 0.1)
    with tf.GradientTape() as tape:
        tape.watch(student)
        value = td.dist_relations(teacher, student)
    np.testing.assert_array_equal(tape.gradient(value, student), 0.0)
