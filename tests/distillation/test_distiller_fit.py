"""The ways to run `fit`: dtypes, XLA, steps per execution, gradient accumulation, strategies, pruning."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import tfopt
from tests.distillation.models import assert_same_run, classifier
from tests.strategies import two_devices
from tfopt.distillation import Distiller


def run(blobs, student_loss_weight=0.5, optimizer=None, **settings):
    """A short run from fixed weights: the logs and the student's weights."""
    keras.utils.set_random_seed(5)
    distiller = Distiller(classifier(l2=0.01), classifier(16), student_loss_weight=student_loss_weight)
    optimizer = optimizer or keras.optimizers.SGD(0.1, momentum=0.9)
    distiller.compile(optimizer, "sparse_categorical_crossentropy", metrics=["accuracy"], **settings)
    x, y = blobs
    weight = np.linspace(0.5, 1.5, len(x))
    logs = distiller.fit(
        x, y, sample_weight=weight, batch_size=32, epochs=2, shuffle=False, verbose=0
    ).history
    return logs, distiller.student.get_weights()


@pytest.mark.parametrize(
    "settings",
    [{"steps_per_execution": 4}, pytest.param({"jit_compile": True}, marks=pytest.mark.slow)],
    ids=str,
)
def test_how_the_step_is_compiled_does_not_matter(blobs, settings):
    assert_same_run(run(blobs, **settings), run(blobs, run_eagerly=True))


def without_batch_norm():
    """Its loss is a mean over samples, however they are split over steps or devices."""
    dense = keras.layers.Dense(6, "relu", kernel_regularizer=keras.regularizers.L2(0.01))
    layers = [keras.Input((8, 8, 1)), keras.layers.Flatten(), dense, keras.layers.Dense(4, "softmax")]
    return keras.Sequential(layers)


def test_gradient_accumulation_is_a_larger_batch(blobs):
    def weights(batch_size, accumulate):
        keras.utils.set_random_seed(5)
        distiller = Distiller(without_batch_norm(), classifier(16))
        optimizer = keras.optimizers.SGD(0.1, gradient_accumulation_steps=accumulate)
        distiller.compile(optimizer, "sparse_categorical_crossentropy")
        distiller.fit(*blobs, batch_size=batch_size, shuffle=False, verbose=0)
        return distiller.student.get_weights()

    for a, b in zip(weights(16, 4), weights(64, None), strict=True):
        np.testing.assert_allclose(a, b, atol=1e-5)


@pytest.mark.parametrize("teacher_inside", [pytest.param(True, marks=pytest.mark.slow), False])
def test_two_devices_compute_what_one_does(blobs, teacher_inside):
    x, y = blobs
    weight = np.linspace(0.5, 1.5, len(x))
    data = tf.data.Dataset.from_tensor_slices((x, y, weight)).batch(32, drop_remainder=True)
    start, taught = without_batch_norm().get_weights(), classifier(16)

    def run_under(strategy):
        with strategy.scope():
            teacher = keras.models.clone_model(taught) if teacher_inside else taught
            teacher.set_weights(taught.get_weights())
            student = without_batch_norm()
            student.set_weights(start)
            distiller = Distiller(student, teacher, student_loss_weight=0.5)
            distiller.compile(
                keras.optimizers.SGD(0.1), "sparse_categorical_crossentropy", metrics=["accuracy"]
            )
        logs = distiller.fit(data, validation_data=data, shuffle=False, verbose=0).history
        return logs, student.get_weights()

    mirrored = two_devices()
    assert mirrored.num_replicas_in_sync == 2
    assert_same_run(run_under(mirrored), run_under(tf.distribute.get_strategy()))


@pytest.mark.parametrize(
    ("teacher", "student"),
    [
        ("float32", "mixed_float16"),
        ("mixed_bfloat16", "mixed_float16"),
        *(
            pytest.param(*pair, marks=pytest.mark.slow)
            for pair in (
                ("float32", "mixed_bfloat16"),
                ("mixed_float16", "float32"),
                ("mixed_float16", "mixed_float16"),
            )
        ),
    ],
)
def test_teacher_and_student_may_differ_in_dtype(blobs, teacher, student):
    def classifier_in(policy, units):
        keras.config.set_dtype_policy(policy)
        try:
            return classifier(units)
        finally:
            keras.config.set_dtype_policy("float32")

    distiller = Distiller(classifier_in(student, 6), classifier_in(teacher, 16))
    distiller.compile(keras.optimizers.Adam(0.01), "sparse_categorical_crossentropy")
    # As in a plain model of that policy, float16 gradients are kept from vanishing.
    assert isinstance(distiller.optimizer, keras.optimizers.LossScaleOptimizer) == (
        student == "mixed_float16"
    )
    logs = distiller.fit(*blobs, epochs=3, verbose=0).history
    assert np.isfinite(list(logs.values())).all()
    assert logs["loss"][-1] < logs["loss"][0]


def test_pruning_prunes_only_the_student(blobs):
    student, teacher = classifier(), classifier(16)
    before = teacher.get_weights()
    distiller = Distiller(student, teacher)
    distiller.compile("adam", "sparse_categorical_crossentropy")
    distiller.fit(*blobs, verbose=0, callbacks=[tfopt.pruning.Pruning(tfopt.pruning.ConstantSparsity(0.75))])
    assert np.mean(student.layers[1].get_weights()[0] == 0) >= 0.75
    for a, b in zip(before, teacher.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)
