"""`soft_targets` against NumPy in float64, its invariances, and what `SoftTargets` refuses."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.distillation.references import reference, softmax
from tfopt.distillation import DistillationLoss, Distiller, SoftTargets, soft_targets


def logits(shape, scale=3.0, seed=0):
    return scale * np.random.default_rng(seed).normal(size=shape)


def value_and_gradient(t, s, temperature):
    s = tf.convert_to_tensor(s)
    with tf.GradientTape() as tape:
        tape.watch(s)
        loss = soft_targets(t, s, temperature)
        total = tf.reduce_sum(loss)
    return loss.numpy(), tape.gradient(total, s).numpy()


@pytest.mark.parametrize("shape", [(1, 2), (5, 10), (3, 4, 6), (2, 3, 3, 4)])
@pytest.mark.parametrize("temperature", [0.5, 1.0, 4.0, 20.0])
def test_value_and_gradient_equal_the_reference(shape, temperature):
    t, s = logits(shape), logits(shape, seed=1)
    value, gradient = value_and_gradient(t, s, temperature)
    np.testing.assert_allclose(value, reference(t, s, temperature), rtol=1e-10)
    step = 1e-5
    direction = logits(shape, 1.0, seed=2)
    slope = (
        reference(t, s + step * direction, temperature) - reference(t, s - step * direction, temperature)
    ).sum()
    np.testing.assert_allclose((gradient * direction).sum(), slope / (2 * step), rtol=1e-6)
    np.testing.assert_allclose(
        gradient, temperature * (softmax(s / temperature) - softmax(t / temperature)), atol=1e-9
    )


@settings(max_examples=50, deadline=None)
@given(
    st.floats(-1e3, 1e3),
    st.floats(-1e3, 1e3),
    st.floats(0.1, 100.0),
    st.floats(0.1, 100.0),
    st.integers(0, 2**32 - 1),
)
def test_invariances(shift_t, shift_s, scale, temperature, seed):
    t, s = logits((4, 5), scale, seed), logits((4, 5), scale, seed + 1)
    value = keras.ops.convert_to_numpy(soft_targets(t, s, temperature))
    shifted = keras.ops.convert_to_numpy(soft_targets(t + shift_t, s + shift_s, temperature))
    tolerance = 1e-8 * (1 + value.max())
    np.testing.assert_allclose(value, reference(t, s, temperature), atol=tolerance)
    np.testing.assert_allclose(value, shifted, atol=tolerance)
    assert value.min() >= -tolerance
    assert np.abs(soft_targets(t, t + shift_t, temperature)).max() <= tolerance


def test_gradient_keeps_its_size_as_the_temperature_grows():
    t, s = logits((8, 10)), logits((8, 10), seed=1)
    # Hinton et al., equation 4: in the limit it is the difference of the centred logits over the classes.
    limit = ((s - s.mean(-1, keepdims=True)) - (t - t.mean(-1, keepdims=True))) / 10
    for temperature, tolerance in ((100.0, 0.05), (1000.0, 0.005)):
        gradient = value_and_gradient(t, s, temperature)[1]
        assert np.abs(gradient - limit).max() < tolerance * np.abs(limit).max()


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float32"])
def test_low_precision_and_extreme_logits_stay_finite(dtype):
    t = tf.cast([[6e4, -6e4, 0.0], [1.0, -np.inf, 2.0]], dtype)
    s = tf.cast([[-6e4, 6e4, 0.0], [1.0, 0.0, 2.0]], dtype)
    value, gradient = value_and_gradient(t, s, 2.0)
    assert value.dtype == np.float32
    assert np.isfinite(value).all() and np.isfinite(gradient.astype("float32")).all()
    np.testing.assert_allclose(
        value[1], reference(np.array([1.0, -1e9, 2.0]), np.array([1.0, 0, 2]), 2.0), rtol=1e-5
    )


@pytest.mark.parametrize("shape", [(6, 3), (2, 5, 3)])
def test_probabilities_and_logits_give_the_same_loss(shape):
    t, s = logits(shape, 1.0), logits(shape, 1.0, seed=1)
    from_logits = SoftTargets(3.0, from_logits=True)(t, s)
    np.testing.assert_allclose(SoftTargets(3.0)(softmax(t), softmax(s)), from_logits, rtol=1e-5)
    np.testing.assert_allclose(from_logits, reference(t, s, 3.0).mean(), rtol=1e-5)


def test_one_column_is_a_distribution_over_two_classes():
    t, s = logits((6, 1), 1.0), logits((6, 1), 1.0, seed=1)
    expected = reference(np.concatenate([t, 0 * t], -1), np.concatenate([s, 0 * s], -1), 2.0).mean()
    assert expected > 0.01
    np.testing.assert_allclose(SoftTargets(2.0, from_logits=True)(t, s), expected, rtol=1e-5)
    sigmoid = [1 / (1 + np.exp(-z)) for z in (t, s)]
    np.testing.assert_allclose(SoftTargets(2.0)(*sigmoid), expected, rtol=1e-5)


def test_certain_probabilities_stay_finite():
    certain, opposite = np.array([[1.0, 0.0]]), np.array([[0.0, 1.0]])
    assert np.isfinite(SoftTargets(1.0)(certain, opposite))
    assert np.isfinite(SoftTargets(1.0)(certain[:, :1], opposite[:, :1]))


def test_config_round_trip():
    loss = SoftTargets(temperature=2.5, from_logits=True, weight=0.3, name="soft")
    copy = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(loss))
    assert copy.get_config() == loss.get_config()
    assert loss.get_config() == {
        **{"temperature": 2.5, "from_logits": True, "weight": 0.3, "name": "soft"},
        **{"teacher_from_logits": None, "teacher_classes": None},
    }


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"temperature": 0}, ValueError, r"'temperature' .* finite number > 0. Got 0 instead"),
        ({"temperature": -1.0}, ValueError, r"'temperature' .* Got -1.0 instead"),
        ({"temperature": float("inf")}, ValueError, r"'temperature' .* Got inf instead"),
        ({"temperature": float("nan")}, ValueError, r"'temperature' .* Got nan instead"),
        ({"weight": -0.5}, ValueError, r"'weight' argument of SoftTargets .* >= 0. Got -0.5 instead"),
        ({"from_logits": "auto"}, TypeError, r"'from_logits' .* True .* or False .* Got 'auto' instead"),
    ],
)
def test_bad_arguments(arguments, error, message):
    with pytest.raises(error, match=message):
        SoftTargets(**arguments)


def test_outputs_without_a_class_axis():
    with pytest.raises(ValueError, match=r"\(batch, ..., classes\). Got \(3,\) instead.*\(batch, 1\)"):
        SoftTargets()(np.ones(3), np.ones(3))


def test_a_loss_without_call():
    with pytest.raises(NotImplementedError, match="DistillationLoss must implement call"):
        DistillationLoss()(np.ones((1, 2)), np.ones((1, 2)))


def ending_in(activation, units=3, name="net"):
    return keras.Sequential([keras.Input((4,)), keras.layers.Dense(units, activation)], name=name)


@pytest.mark.parametrize(
    ("teacher", "student", "from_logits", "message"),
    [
        (
            "softmax",
            "linear",
            True,
            r"from_logits=True, but the teacher 'teacher' ends in 'softmax'.*"
            r"Pass from_logits=True and teacher_from_logits=False",
        ),
        (
            "linear",
            "softmax",
            True,
            r"from_logits=True, but the student 'student' ends in 'softmax'.*"
            r"Pass from_logits=False and teacher_from_logits=True",
        ),
        (
            "linear",
            "softmax",
            False,
            r"from_logits=False, but the teacher 'teacher' ends in 'linear'.*"
            r"Pass from_logits=False and teacher_from_logits=True",
        ),
        (
            "softmax",
            "linear",
            False,
            r"from_logits=False, but the student 'student' ends in 'linear'.*"
            r"Pass from_logits=True and teacher_from_logits=False",
        ),
        (
            "sigmoid",
            "sigmoid",
            False,
            r"the teacher 'teacher' ends in 3 independent 'sigmoid' columns.*BinarySoftTargets",
        ),
        ("linear", "linear", False, r"ends in 'linear'.*Pass from_logits=True for logits.*OutputMatching"),
        ("softmax", "softmax", True, r"ends in 'softmax'.*softmaxed twice. Pass from_logits=False\."),
        ("tanh", "tanh", True, r"ends in 'tanh', which makes values. Use OutputMatching"),
    ],
)
def test_last_activations_that_contradict_from_logits(teacher, student, from_logits, message):
    teacher, student = ending_in(teacher, name="teacher"), ending_in(student, name="student")
    with pytest.raises(ValueError, match=message):
        Distiller(student, teacher, [SoftTargets(from_logits=from_logits)])


@pytest.mark.parametrize(
    ("activation", "units", "from_logits"),
    [("softmax", 3, False), ("sigmoid", 1, False), ("linear", 3, True), ("linear", 1, True)],
)
def test_last_activations_that_fit(activation, units, from_logits):
    distiller = Distiller(
        ending_in(activation, units), ending_in(activation, units), [SoftTargets(from_logits=from_logits)]
    )
    distiller.compile("sgd")
    assert (
        distiller.train_on_batch(np.ones((2, 4)), np.ones((2, units)), return_dict=True)["distillation_loss"]
        > 0
    )
