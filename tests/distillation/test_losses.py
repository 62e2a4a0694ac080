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
from hypothesis import given, settings
from hypothesis import strategies as st

import tfopt.distillation as td
from tests.distillation.test_soft_targets import log_softmax, softmax


def normal(shape, seed, scale=1.0):
    return scale * np.random.default_rng(seed).normal(size=shape)


def kl(p, q):
    return (p * (np.log(p) - np.log(q))).sum(-1)


def decoupled(t, s, target, alpha=1.0, beta=8.0, temperature=4.0):
    p, q = softmax(t / temperature), softmax(s / temperature)
    rows = []
    for pi, qi, k in zip(p, q, target, strict=True):
        others = np.arange(len(pi)) != k
        binary = [np.array([x[k], x[others].sum()]) for x in (pi, qi)]
        rest = [x[others] / x[others].sum() for x in (pi, qi)]
        rows.append(temperature**2 * (alpha * kl(*binary) + beta * kl(*rest)))
    return np.array(rows)


def centered_mse(t, s):
    d = t - s
    return ((d - d.mean(-1, keepdims=True)) ** 2).mean(-1)


def attention(t, s):
    maps = [(x**2).mean(-1).reshape(len(x), -1) for x in (t, s)]
    maps = [m / np.linalg.norm(m, axis=1, keepdims=True) for m in maps]
    return ((maps[0] - maps[1]) ** 2).sum(-1)


def similarity(t, s):
    grams = [x.reshape(len(x), -1) @ x.reshape(len(x), -1).T for x in (t, s)]
    grams = [g / np.linalg.norm(g, axis=1, keepdims=True) for g in grams]
    return ((grams[0] - grams[1]) ** 2).mean(-1)


def huber(x):
    return np.where(np.abs(x) <= 1, x**2 / 2, np.abs(x) - 0.5)


def distances(t, s):
    n, found = len(t), []
    for x in (t.reshape(n, -1), s.reshape(n, -1)):
        d = np.array([[np.linalg.norm(a - b) for b in x] for a in x])
        found.append(d / (d.sum() / (n * (n - 1))))
    return huber(found[0] - found[1]).sum(1) / (n - 1)


def angles(t, s):
    n, found = len(t), []
    for x in (t.reshape(n, -1), s.reshape(n, -1)):
        cosines = np.zeros((n, n, n))
        for i in range(n):
            for j in range(n):
                for k in range(n):
                    if j != i and k != i:
                        a, b = x[j] - x[i], x[k] - x[i]
                        cosines[i, j, k] = a @ b / np.linalg.norm(a) / np.linalg.norm(b)
        found.append(cosines)
    return huber(found[0] - found[1]).mean((1, 2))


def bounded(t, s, y, margin=0.0):
    errors = [((x - y) ** 2).mean(-1) for x in (t, s)]
    return np.where(errors[1] + margin > errors[0], errors[1], 0.0)


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


floats = st.floats(-100.0, 100.0)


@settings(max_examples=25, deadline=None)
@given(floats, floats, st.integers(0, 2**32 - 1))
def test_a_constant_added_to_all_logits_changes_nothing(shift_t, shift_s, seed):
    t, s = normal((5, 4), seed), normal((5, 4), seed + 1)
    for name in ("soft_targets", "logit_mse", "decoupled_targets"):
        row = LOSSES[name]
        np.testing.assert_allclose(
            row.function(t + shift_t, s + shift_s, *row.extra), row.function(t, s, *row.extra), atol=1e-9
        )


@settings(max_examples=25, deadline=None)
@given(st.floats(0.01, 100.0), st.integers(0, 2**32 - 1))
def test_scale_rotation_and_position_of_features(scale, seed):
    t, s = normal((5, 6), seed), normal((5, 6), seed + 1)
    rotation = np.linalg.qr(normal((6, 6), seed + 2))[0]
    for name in ("similarity_preserving", "relational_distances", "relational_angles"):
        function = LOSSES[name].function
        np.testing.assert_allclose(function(t, scale * s @ rotation), function(t, s), atol=1e-9)
    for name in ("relational_distances", "relational_angles"):
        function = LOSSES[name].function
        np.testing.assert_allclose(function(t + scale, s), function(t, s), atol=1e-9)
    maps = t.reshape(5, 3, 2), s.reshape(5, 3, 2)
    np.testing.assert_allclose(
        td.attention_transfer(maps[0], -scale * maps[1][..., ::-1]), td.attention_transfer(*maps), atol=1e-9
    )


def test_decoupled_targets_are_soft_targets_with_the_teachers_doubt_for_beta():
    t, s = normal((6, 5), 0, 2.0), normal((6, 5), 1, 2.0)
    target = t.argmax(-1)
    doubt = 1 - softmax(t / 3.0)[np.arange(6), target]
    got = td.decoupled_targets(t, s, target, alpha=1.0, beta=doubt, temperature=3.0)
    np.testing.assert_allclose(got, td.soft_targets(t, s, 3.0), rtol=1e-9)


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


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (
            lambda: td.DecoupledTargets(alpha=-1),
            ValueError,
            r"'alpha' argument of DecoupledTargets .*>= 0. Got -1",
        ),
        (
            lambda: td.DecoupledTargets(beta="8"),
            TypeError,
            r"'beta' argument .* number, or a schedule.* Got '8'",
        ),
        (lambda: td.DecoupledTargets(temperature=0), ValueError, r"'temperature' .* > 0. Got 0 instead"),
        (
            lambda: td.RelationalKD(angle=float("nan")),
            ValueError,
            r"'angle' argument of RelationalKD .* Got nan",
        ),
        (lambda: td.BoundedRegression(margin=-0.1), ValueError, r"'margin' argument .* Got -0.1"),
        (
            lambda: td.LogitMSE(weight=lambda step: -1.0),
            ValueError,
            r"'weight' .* Got -1.0 at step 0 instead",
        ),
        (
            lambda: td.FeatureMatching("conv"),
            TypeError,
            r"'layers' argument of FeatureMatching .* Got 'conv'",
        ),
        (lambda: td.FeatureMatching([("a", "b", "c")]), TypeError, r"'layers' argument .* pairs"),
        (lambda: td.AttentionMaps(), ValueError, r"'layers' argument of AttentionMaps .* at least one"),
        (lambda: td.KerasDistillationLoss("mse"), TypeError, r"'loss' argument .* Got 'mse' instead"),
    ],
)
def test_bad_arguments(make, error, message):
    with pytest.raises(error, match=message):
        make()


@pytest.mark.parametrize(
    ("loss", "teacher", "student"),
    [
        (td.FeatureMatching(), (2, 4, 4, 3), (2, 16, 3)),
        (td.HiddenStates(), (2, 5, 3), (2, 6, 3)),
        (td.AttentionTransfer(), (2, 3), (2, 3)),
        (td.SimilarityPreserving(), (2,), (2, 3)),
        (td.RelationalKD(), (2, 3), (2,)),
    ],
)
def test_features_that_cannot_be_compared(loss, teacher, student):
    with pytest.raises(
        ValueError, match=f"{type(loss).__name__} compares .* must have .*Choose other layers"
    ):
        loss.compare([np.ones(teacher)], [np.ones(student)])
