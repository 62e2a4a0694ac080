"""Saving a Distiller in the middle of its training, resuming it, and what is left of it afterwards."""

import keras
import numpy as np
import pytest

from tests.distillation.models import Subclassed, assert_same_run, built, classifier
from tfopt.distillation import Distiller, FeatureMatching, SoftTargets


@keras.saving.register_keras_serializable(package="tfopt_tests")
class Saveable(Subclassed):
    """Registered, so that it loads with no scope."""


@keras.saving.register_keras_serializable(package="tfopt_tests")
def even_teacher(x):
    return keras.ops.full((keras.ops.shape(x)[0], 4), 0.25)


def compiled_teacher():
    """Compiled with a loss that no loader knows, and none needs."""

    def unregistered(y, p):
        return keras.ops.mean(p)

    teacher = classifier(16)
    teacher.compile("adam", loss=unregistered)
    return teacher


@pytest.mark.parametrize(
    ("make_student", "make_teacher", "eagerly"),
    [
        (classifier, lambda: classifier(16), False),
        (Saveable, lambda: classifier(16), True),
        (classifier, lambda: built(Saveable()), True),
        (classifier, compiled_teacher, True),
        (classifier, lambda: even_teacher, True),
    ],
    ids=["sequential", "subclassed student", "subclassed teacher", "compiled teacher", "function"],
)
def test_a_saved_run_resumes_as_if_never_stopped(blobs, tmp_path, make_student, make_teacher, eagerly):
    x, y = blobs[0][:64], blobs[1][:64]
    distiller = Distiller(
        make_student(), make_teacher(), [SoftTargets(2.0, weight=0.5)], student_loss_weight=0.3
    )
    settings = {"metrics": ["accuracy"], "run_eagerly": eagerly}
    distiller.compile(keras.optimizers.Adam(0.01), "sparse_categorical_crossentropy", **settings)
    path = str(tmp_path / "distiller.keras")
    checkpoint = keras.callbacks.ModelCheckpoint(path)
    fit = {"shuffle": False, "verbose": 0}
    distiller.fit(x, y, callbacks=[checkpoint], **fit)

    loaded = keras.models.load_model(path)
    assert loaded.student_loss_weight == 0.3
    assert [loss.get_config() for loss in loaded.distillation_losses] == [
        loss.get_config() for loss in distiller.distillation_losses
    ]
    expected, resumed = distiller.fit(x, y, **fit).history, loaded.fit(x, y, **fit).history
    weights = [model.student.get_weights() for model in (loaded, distiller)]
    assert_same_run((resumed, weights[0]), (expected, weights[1]), tolerance=1e-6)
    np.testing.assert_allclose(distiller.teacher(x[:4]), loaded.teacher(x[:4]), atol=1e-6)


def test_weights_alone_are_saved_and_loaded(blobs, tmp_path):
    path = str(tmp_path / "d.weights.h5")
    one, other = (Distiller(classifier(), classifier(16)) for _ in range(2))
    one.save_weights(path)
    other.load_weights(path)
    np.testing.assert_array_equal(one(blobs[0][:4]), other(blobs[0][:4]))
    np.testing.assert_array_equal(one.teacher(blobs[0][:4]), other.teacher(blobs[0][:4]))


def test_the_student_is_a_plain_model_afterwards(blobs, tmp_path):
    distiller = Distiller(classifier(), classifier(16))
    distiller.compile("adam", "sparse_categorical_crossentropy", run_eagerly=True)
    distiller.fit(*blobs, batch_size=128, verbose=0)
    path = str(tmp_path / "student.keras")
    distiller.student.save(path)
    loaded = keras.models.load_model(path)
    assert type(loaded) is keras.Sequential
    np.testing.assert_array_equal(loaded(blobs[0][:4]), distiller(blobs[0][:4]))


def test_a_run_that_was_interrupted_goes_on_from_its_backup(blobs, tmp_path):
    """Weights, projections, the optimizer, and with it the step of a schedule, come back."""
    x, y = blobs[0][:64], blobs[1][:64]
    weight = keras.optimizers.schedules.PolynomialDecay(1.0, 6, 0.1)

    class Interruption(keras.callbacks.Callback):
        def on_epoch_begin(self, epoch, logs=None):
            if epoch == 2:
                raise KeyboardInterrupt

    def fitted(*callbacks):
        keras.utils.set_random_seed(1)
        student, teacher = classifier(), classifier(16)
        features = FeatureMatching([(teacher.layers[1].name, student.layers[1].name)])
        distiller = Distiller(student, teacher, [features, SoftTargets(weight=weight)])
        distiller.compile("adam", "sparse_categorical_crossentropy", run_eagerly=True)
        distiller.fit(x, y, epochs=3, shuffle=False, verbose=0, callbacks=list(callbacks))
        return distiller.get_weights()

    with pytest.raises(KeyboardInterrupt):
        fitted(keras.callbacks.BackupAndRestore(tmp_path / "backup"), Interruption())
    resumed = fitted(keras.callbacks.BackupAndRestore(tmp_path / "backup"))
    for a, b in zip(resumed, fitted(), strict=True):
        np.testing.assert_allclose(a, b, atol=1e-6)
