"""Ensembles, losses of `keras.distillation`, and losses that need labels."""

import keras
import numpy as np
import pytest
from keras import layers

import tfopt.distillation as td
from tests.distillation.models import classifier
from tests.distillation.references import reference


def step(distiller, x, y):
    distiller.compile(keras.optimizers.SGD(0.0), "sparse_categorical_crossentropy", run_eagerly=True)
    return distiller.train_on_batch(x, y, return_dict=True)


def test_an_ensemble_is_the_mean_of_its_members(blobs):
    x, y = blobs[0][:32], blobs[1][:32]
    student = classifier()
    teachers = [classifier(16), classifier(8, dtype="mixed_bfloat16"), lambda x: keras.ops.ones((32, 4)) / 4]
    s = np.array(student(x, training=True))
    t = np.mean([np.array(one(x), "float32") for one in teachers], axis=0)
    logs = step(td.Distiller(student, teachers, [td.SoftTargets(2.0)]), x, y)
    np.testing.assert_allclose(
        logs["distillation_loss"], reference(np.log(t), np.log(s), 2.0).mean(), rtol=1e-4
    )


def test_an_ensemble_saves_and_resumes(blobs, tmp_path):
    distiller = td.Distiller(classifier(), [classifier(16), classifier(8)])
    distiller.compile(keras.optimizers.Adam(0.01), "sparse_categorical_crossentropy", run_eagerly=True)
    distiller.fit(*blobs, batch_size=128, verbose=0)
    distiller.save(tmp_path / "d.keras")
    loaded = keras.models.load_model(tmp_path / "d.keras")
    for ours, theirs in zip(distiller.teacher, loaded.teacher, strict=True):
        np.testing.assert_allclose(ours(blobs[0]), theirs(blobs[0]), atol=1e-6)
    frozen = {id(v) for v in loaded.non_trainable_variables}
    assert all(id(v) in frozen for one in loaded.teacher for v in one.variables)


def test_ensembles_that_disagree_are_refused():
    with pytest.raises(ValueError, match=r"All teachers of an ensemble need the same outputs"):
        td.Distiller(
            classifier(), [classifier(), keras.Sequential([keras.Input((8, 8, 1)), layers.Flatten()])]
        )
    with pytest.raises(ValueError, match=r"'teacher' argument .* at least one teacher. Got an empty list"):
        td.Distiller(classifier(), [])
    with pytest.raises(TypeError, match=r"lists a EMATeacher, which must be the only teacher"):
        td.Distiller(classifier(), [classifier(), td.EMATeacher()])


@keras.saving.register_keras_serializable(package="tfopt_tests")
class BatchMean(keras.distillation.DistillationLoss):
    """A loss of a user's own, written for Keras' Distiller."""

    def compute_loss(self, teacher_outputs, student_outputs, **kwargs):
        return keras.ops.mean(keras.ops.abs(teacher_outputs - student_outputs))

    def get_config(self):
        return {}

    @classmethod
    def from_config(cls, config):
        return cls(**config)


def test_losses_of_keras_are_taken_as_they_are(blobs, tmp_path):
    x, y = blobs[0][:32], blobs[1][:32]
    student, teacher = classifier(), classifier(6)
    stock = keras.distillation.LogitsDistillation(temperature=2.0, loss=keras.losses.KLDivergence())
    feature = keras.distillation.FeatureDistillation(
        "mse", teacher_layer_name=teacher.layers[1].name, student_layer_name=student.layers[1].name
    )
    s, t = np.array(student(x, training=True)), np.array(teacher(x))
    hidden = [np.array(m.layers[1](m.layers[0](x))) for m in (teacher, student)]
    expected = (
        np.abs(t - s).mean() + float(stock.compute_loss(t, s)) + 0.5 * ((hidden[0] - hidden[1]) ** 2).mean()
    )
    losses = [BatchMean(), stock, td.KerasDistillationLoss(feature, weight=0.5)]
    distiller = td.Distiller(student, teacher, losses)
    np.testing.assert_allclose(step(distiller, x, y)["distillation_loss"], expected, rtol=1e-4)
    distiller.save(tmp_path / "d.keras")
    loaded = keras.models.load_model(tmp_path / "d.keras")
    assert [type(loss.loss) for loss in loaded.distillation_losses] == [
        type(loss.loss) for loss in distiller.distillation_losses
    ]
    with pytest.raises(ValueError, match=r"BatchMean returns one number .* fit without weights"):
        distiller.train_on_batch(x, y, sample_weight=np.ones(32))


def test_keras_losses_with_one_layer_are_refused():
    feature = keras.distillation.FeatureDistillation("mse", teacher_layer_name="dense")
    with pytest.raises(ValueError, match=r"names a layer of one model only: 'dense'"):
        td.Distiller(classifier(), classifier(), [feature])


def test_labels_reach_the_losses_that_need_them(blobs):
    x, y = blobs[0][:32], blobs[1][:32]
    student, teacher = classifier(), classifier(16)
    s, t = np.array(student(x, training=True)), np.array(teacher(x))
    loss = td.DecoupledTargets(temperature=2.0)
    expected = td.decoupled_targets(np.log(t), np.log(s), y, temperature=2.0)
    logs = step(td.Distiller(student, teacher, [loss]), x, y)
    np.testing.assert_allclose(logs["distillation_loss"], np.mean(expected), rtol=1e-4)
    regression = keras.Sequential([keras.Input((8, 8, 1)), layers.Flatten(), layers.Dense(1)])
    distiller = td.Distiller(regression, keras.models.clone_model(regression), [td.BoundedRegression()])
    distiller.compile("sgd", "mse", run_eagerly=True)
    logs = distiller.train_on_batch(x, y.astype("float32"), return_dict=True)
    assert np.isfinite(logs["distillation_loss"])
