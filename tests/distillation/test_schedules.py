"""Weights and temperatures that follow schedules of the training step."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import tfopt.distillation as td
from tests.distillation.models import classifier
from tests.distillation.references import crossentropy, reference


@keras.saving.register_keras_serializable(package="tfopt_tests")
def warm_up(iterations):
    return keras.ops.minimum(keras.ops.cast(iterations, "float32") / 4.0, 1.0)


@pytest.mark.parametrize(
    "settings",
    [
        {"steps_per_execution": 4},
        *(pytest.param(s, marks=pytest.mark.slow) for s in ({}, {"jit_compile": True})),
    ],
    ids=str,
)
def test_weights_and_temperatures_follow_schedules(blobs, settings):
    x, y = blobs[0][:64], blobs[1][:64]
    temperature = keras.optimizers.schedules.PiecewiseConstantDecay([1, 3], [4.0, 2.0, 1.0])
    student, teacher = classifier(), classifier(16)
    flat = keras.Sequential(student.layers)
    flat.layers[-2].trainable = False  # batch norm in inference, so that all steps see the same outputs
    distiller = td.Distiller(student, teacher, [td.SoftTargets(temperature, weight=warm_up)])
    distiller.compile(keras.optimizers.SGD(0.0), "sparse_categorical_crossentropy", **settings)
    s, t = np.array(student(x)), np.array(teacher(x))
    each = [
        min(i / 4, 1) * reference(np.log(t), np.log(s), [4.0, 4.0, 2.0, 2.0, 1.0, 1.0][i]).mean()
        for i in range(4)
    ]
    data = tf.data.Dataset.from_tensors((x, y)).repeat(4)
    logs = distiller.fit(data, shuffle=False, verbose=0).history
    np.testing.assert_allclose(logs["distillation_loss"], np.mean(each), rtol=1e-4)
    np.testing.assert_allclose(logs["student_loss"], crossentropy(y, s).mean(), rtol=1e-4)


def test_the_step_is_the_optimizers(blobs):
    """With gradient accumulation two batches are one step."""
    seen = []

    def weight(iterations):
        seen.append(iterations)
        return keras.ops.cast(iterations, "float32")

    distiller = td.Distiller(classifier(), classifier(16), [td.SoftTargets(weight=weight)])
    optimizer = keras.optimizers.SGD(0.01, gradient_accumulation_steps=2)
    distiller.compile(optimizer, "sparse_categorical_crossentropy", run_eagerly=True)
    seen.clear()
    distiller.fit(*(part[:48] for part in blobs), batch_size=8, verbose=0)
    assert [int(i) for i in seen] == [0, 0, 1, 1, 2, 2]


def test_schedules_under_loss_scaling(blobs):
    keras.config.set_dtype_policy("mixed_float16")
    try:
        student = classifier()
    finally:
        keras.config.set_dtype_policy("float32")
    temperature = keras.optimizers.schedules.ExponentialDecay(4.0, 4, 0.5)
    distiller = td.Distiller(student, classifier(16), [td.SoftTargets(temperature, weight=warm_up)])
    distiller.compile("adam", "sparse_categorical_crossentropy", run_eagerly=True)
    assert isinstance(distiller.optimizer, keras.optimizers.LossScaleOptimizer)
    logs = distiller.fit(*blobs, epochs=2, verbose=0).history
    assert np.isfinite(list(logs.values())).all() and logs["distillation_loss"][1] > 0


def test_schedules_are_saved(tmp_path, blobs):
    loss = td.SoftTargets(keras.optimizers.schedules.ExponentialDecay(4.0, 10, 0.5), weight=warm_up)
    distiller = td.Distiller(classifier(), classifier(), [loss])
    distiller.compile("sgd", "sparse_categorical_crossentropy", run_eagerly=True)
    distiller.fit(*blobs, batch_size=128, verbose=0)
    distiller.save(tmp_path / "d.keras")
    (loaded,) = keras.models.load_model(tmp_path / "d.keras").distillation_losses
    assert loaded.weight is warm_up
    assert loaded.temperature.get_config() == loss.temperature.get_config()
    assert float(loaded.at(10).temperature) == 2.0
