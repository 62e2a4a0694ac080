"""Students that teach themselves: by the average of their weights, and by their deeper exits."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

import tfopt.distillation as td
from tests.distillation.models import classifier, exits
from tests.distillation.references import reference
from tests.strategies import two_devices


def test_the_mean_teacher_follows_the_student(blobs, tmp_path):
    x, y = blobs[0][:64], blobs[1][:64]
    student = classifier()
    distiller = td.Distiller(student, td.EMATeacher(decay=0.8), [td.SoftTargets(1.0)])
    distiller.compile(keras.optimizers.SGD(0.1), "sparse_categorical_crossentropy", run_eagerly=True)
    expected = [np.array(v) for v in student.trainable_variables]
    for _ in range(3):
        expected = [
            0.8 * e + 0.2 * np.array(v) for e, v in zip(expected, student.trainable_variables, strict=True)
        ]
        distiller.train_on_batch(x, y)
    for average, e in zip(distiller.teacher_state.averages, expected, strict=True):
        np.testing.assert_allclose(average, e, atol=1e-6)

    # The loss of the next step: the student with averaged weights, in inference mode.
    expected = [
        0.8 * e + 0.2 * np.array(v) for e, v in zip(expected, student.trainable_variables, strict=True)
    ]
    teacher = keras.models.clone_model(student)
    teacher.set_weights(student.get_weights())
    s = np.array(teacher(x, training=True))
    for variable, value in zip(teacher.trainable_variables, expected, strict=True):
        variable.assign(value)
    logs = distiller.train_on_batch(x, y, return_dict=True)
    # Batch norm's statistics are the student's after its own forward pass, as the clone's are.
    t = np.array(teacher(x))
    np.testing.assert_allclose(
        logs["distillation_loss"], reference(np.log(t), np.log(s), 1.0).mean(), rtol=1e-3
    )

    distiller.save(tmp_path / "d.keras")
    loaded = keras.models.load_model(tmp_path / "d.keras")
    assert loaded.teacher.decay == 0.8
    for a, b in zip(distiller.teacher_state.averages, loaded.teacher_state.averages, strict=True):
        np.testing.assert_array_equal(a, b)
    assert student.count_params() == classifier().count_params()


def test_the_mean_teacher_under_two_devices(blobs):
    data = tf.data.Dataset.from_tensor_slices(blobs).batch(32, drop_remainder=True)

    def run(strategy):
        keras.utils.set_random_seed(2)
        with strategy.scope():
            dense = layers.Dense(4, "softmax", kernel_initializer=keras.initializers.GlorotUniform(seed=1))
            student = keras.Sequential([keras.Input((8, 8, 1)), layers.Flatten(), dense])
            distiller = td.Distiller(student, td.EMATeacher(0.9))
            distiller.compile(keras.optimizers.SGD(0.1), "sparse_categorical_crossentropy")
        distiller.fit(data, shuffle=False, verbose=0)
        return [np.array(v) for v in (*distiller.teacher_state.averages, *student.trainable_variables)]

    for a, b in zip(run(tf.distribute.get_strategy()), run(two_devices()), strict=True):
        np.testing.assert_allclose(a, b, atol=1e-5)


@pytest.mark.parametrize(
    ("decay", "error", "message"),
    [
        (1.0, ValueError, r"'decay' argument of EMATeacher must be below 1. Got 1.0"),
        (-0.1, ValueError, r"'decay' argument of EMATeacher .* >= 0. Got -0.1"),
        ("0.9", TypeError, r"'decay' argument of EMATeacher .* Got '0.9'"),
    ],
)
def test_bad_decays(decay, error, message):
    with pytest.raises(error, match=message):
        td.EMATeacher(decay)


@pytest.mark.parametrize("kind", ["dict", "list"])
@pytest.mark.parametrize("pairs", [None, "chain"])
def test_deeper_exits_teach_shallower_ones(blobs, kind, pairs):
    x = blobs[0][:32]
    student = exits(kind)
    s = [np.array(out) for out in keras.tree.flatten(student(x))]
    keys = list(student.output) if kind == "dict" else [0, 1, 2]
    chain = {keys[0]: keys[1], keys[1]: keys[2]} if pairs else None
    taught = [(1, 0), (2, 1)] if pairs else [(2, 0), (2, 1)]
    distiller = td.Distiller(student, td.SelfDistillation(chain), [td.SoftTargets(2.0)])
    distiller.compile(keras.optimizers.SGD(0.0), run_eagerly=True)
    logs = distiller.train_on_batch(x, return_dict=True)
    expected = sum(reference(np.log(s[t]), np.log(s[i]), 2.0).mean() for t, i in taught)
    np.testing.assert_allclose(logs["distillation_loss"], expected, rtol=1e-4)


def test_no_gradient_flows_into_the_exit_that_teaches(blobs):
    student = exits("dict")
    before = student.get_layer("third").get_weights()
    distiller = td.Distiller(student, td.SelfDistillation(), [td.SoftTargets(2.0)])
    distiller.compile(keras.optimizers.SGD(1.0))
    distiller.fit(blobs[0], batch_size=128, verbose=0)
    for a, b in zip(before, student.get_layer("third").get_weights(), strict=True):
        np.testing.assert_allclose(a, b, atol=1e-6)


def test_deeper_blocks_teach_shallower_ones(blobs, tmp_path):
    x = blobs[0][:32]
    student = exits("dict")
    read = keras.Model(
        student.inputs[0], [student.get_layer(f"{n}_block").output for n in ("third", "first")]
    )
    t, s = (np.array(out) for out in read(x))
    loss = td.FeatureMatching([("third_block", "first_block")])
    distiller = td.Distiller(student, td.SelfDistillation({"first": "third"}), [loss])
    distiller.compile(
        keras.optimizers.SGD(0.0),
        {name: "sparse_categorical_crossentropy" for name in student.output},
        run_eagerly=True,
    )
    y = {name: blobs[1][:32] for name in student.output}
    logs = distiller.train_on_batch(x, y, return_dict=True)
    np.testing.assert_allclose(logs["distillation_loss"], ((t - s) ** 2).mean(), rtol=1e-4)
    distiller.save(tmp_path / "d.keras")
    assert keras.models.load_model(tmp_path / "d.keras").teacher.exits == {"first": "third"}


def test_exits_that_are_not_there(blobs):
    with pytest.raises(ValueError, match=r"'pairs' argument .* at least one exit.* Got \{\}"):
        td.SelfDistillation({})
    distiller = td.Distiller(exits("dict"), td.SelfDistillation({"first": "fifth"}))
    distiller.compile("sgd", run_eagerly=True)
    with pytest.raises(ValueError, match=r"'pairs' .* names the output 'fifth', .* outputs are"):
        distiller.train_on_batch(blobs[0][:8])
    distiller = td.Distiller(classifier(), td.SelfDistillation())
    distiller.compile("sgd", run_eagerly=True)
    with pytest.raises(ValueError, match=r"SelfDistillation needs a student with several outputs"):
        distiller.train_on_batch(blobs[0][:8])


def test_the_mean_teacher_has_features(blobs):
    student = classifier()
    distiller = td.Distiller(student, td.EMATeacher(0.9), [td.FeatureMatching([student.layers[1].name])])
    distiller.compile(keras.optimizers.SGD(0.1), "sparse_categorical_crossentropy", run_eagerly=True)
    logs = distiller.fit(*blobs, batch_size=128, epochs=2, verbose=0).history
    assert logs["distillation_loss"][1] > 0
