"""What the Distiller minimizes and logs, checked against NumPy; what it leaves alone."""

import keras
import numpy as np
import pytest

from tests.distillation.models import CLASSES, Subclassed, classifier, two_heads
from tests.distillation.references import crossentropy, reference, softmax
from tfopt.distillation import Distiller, SoftTargets
from tfopt.graph import flatten_layers


@pytest.mark.parametrize("student_loss_weight", [1.0, 0.3, 0.0])
@pytest.mark.parametrize("weighted", [False, True])
def test_the_loss_is_the_documented_sum(blobs, student_loss_weight, weighted):
    x, y = blobs[0][:32], blobs[1][:32]
    sample_weight = np.random.default_rng(1).uniform(0, 2, 32).astype("float32") if weighted else np.ones(32)
    student, teacher = classifier(l2=0.05), classifier(16, l2=100.0)
    losses = [SoftTargets(3.0, weight=0.7), SoftTargets(1.0, weight=0.2)]
    distiller = Distiller(student, teacher, losses, student_loss_weight=student_loss_weight)
    distiller.compile(keras.optimizers.SGD(0.0), "sparse_categorical_crossentropy", run_eagerly=True)
    s, t = np.array(student(x, training=True)), np.array(teacher(x))
    kernel = student.layers[1].get_weights()[0]

    logs = distiller.fit(x, y, sample_weight=sample_weight, batch_size=32, verbose=0).history

    hard = (crossentropy(y, s) * sample_weight).mean()
    penalty = 0.05 * (kernel**2).sum()
    soft = sum(
        weight * (reference(np.log(t), np.log(s), temperature) * sample_weight).mean()
        for weight, temperature in ((0.7, 3.0), (0.2, 1.0))
    )
    np.testing.assert_allclose(logs["student_loss"], hard + penalty, rtol=1e-4)
    np.testing.assert_allclose(logs["distillation_loss"], soft, rtol=1e-4)
    np.testing.assert_allclose(logs["loss"], student_loss_weight * hard + penalty + soft, rtol=1e-4)


def test_add_loss_terms_count_and_the_teachers_do_not(blobs):
    x, y = blobs[0][:16], blobs[1][:16]
    student, teacher = Subclassed(), Subclassed()
    teacher(x)
    distiller = Distiller(student, teacher)
    distiller.compile(keras.optimizers.SGD(0.0), "sparse_categorical_crossentropy", run_eagerly=True)
    logs = distiller.fit(x, y, batch_size=16, verbose=0).history
    outputs = np.array(student.dense(student.flatten(x)))
    expected = crossentropy(y, softmax(outputs)).mean() + 0.01 * (outputs**2).mean()
    np.testing.assert_allclose(logs["student_loss"], expected, rtol=1e-5)
    np.testing.assert_allclose(logs["loss"], expected + logs["distillation_loss"][0], rtol=1e-5)


def trained(make, x, y, **fit):
    keras.utils.set_random_seed(3)
    student, teacher = make(), classifier(16)
    distiller = Distiller(student, teacher)
    distiller.compile(keras.optimizers.SGD(0.1), "sparse_categorical_crossentropy", run_eagerly=True)
    distiller.fit(x, y, shuffle=False, verbose=0, **fit)
    return student.get_weights()


def test_samples_of_weight_zero_teach_nothing(blobs):
    def make():  # without batch norm: its batch statistics see every sample, as in any Keras training
        return keras.Sequential(
            [keras.Input((8, 8, 1)), keras.layers.Flatten(), keras.layers.Dense(4, "softmax")]
        )

    x, y = blobs
    kept = np.arange(len(x)) % 2 == 0
    # Keras divides by the batch size, so weight 2 on half of the samples is the mean over that half.
    weighted = trained(make, x, y, sample_weight=np.where(kept, 2.0, 0.0), batch_size=32)
    subset = trained(make, x[kept], y[kept], batch_size=16)
    for a, b in zip(weighted, subset, strict=True):
        np.testing.assert_allclose(a, b, atol=1e-6)


def test_class_weight_is_a_sample_weight(blobs):
    x, y = blobs[0][:64], blobs[1][:64]
    class_weight = {0: 0.5, 1: 2.0, 2: 0.0, 3: 1.0}
    weights = np.array([class_weight[label] for label in y])
    by_class = trained(classifier, x, y, class_weight=class_weight)
    by_sample = trained(classifier, x, y, sample_weight=weights)
    unweighted = trained(classifier, x, y)
    np.testing.assert_array_equal(by_class[0], by_sample[0])
    assert np.abs(by_class[0] - unweighted[0]).max() > 1e-4


def test_evaluate_predict_and_metrics_are_the_students(blobs):
    x, y = blobs[0][:64], blobs[1][:64]
    student, teacher = classifier(l2=0.01), classifier(16)
    distiller = Distiller(student, teacher)
    settings = {"loss": "sparse_categorical_crossentropy", "metrics": ["accuracy"], "run_eagerly": True}
    distiller.compile("adam", **settings)
    logs = distiller.fit(x, y, validation_data=(x, y), epochs=2, verbose=0).history
    alone = {"accuracy", "loss"}
    assert set(logs) == alone | {"student_loss", "distillation_loss", "val_loss", "val_accuracy"}
    assert set(distiller.test_on_batch(x, y, return_dict=True)) == alone
    assert set(distiller.train_on_batch(x, y, return_dict=True)) == alone | {
        "student_loss",
        "distillation_loss",
    }
    student.compile("adam", **settings)
    expected = student.evaluate(x, y, verbose=0, return_dict=True)
    assert distiller.evaluate(x, y, verbose=0, return_dict=True) == pytest.approx(expected)
    assert distiller.evaluate(x, y, verbose=0) == pytest.approx([expected["loss"], expected["accuracy"]])
    np.testing.assert_array_equal(distiller.predict(x, verbose=0), student.predict(x, verbose=0))
    np.testing.assert_array_equal(distiller(x[:8]), student(x[:8]))


def test_each_model_runs_once_a_step_and_the_teacher_not_in_evaluate(blobs):
    calls = {"student": 0, "teacher": 0}

    @keras.saving.register_keras_serializable(package="tests")
    class Counting(Subclassed):
        def call(self, inputs):
            calls[self.name] += 1
            return super().call(inputs)

    student, teacher = Counting(name="student"), Counting(name="teacher")
    for model in (student, teacher):
        model(blobs[0][:1])
    distiller = Distiller(student, teacher)
    distiller.compile("sgd", "sparse_categorical_crossentropy", run_eagerly=True)
    calls.update(student=0, teacher=0)
    distiller.train_on_batch(*(part[:8] for part in blobs))
    assert calls == {"student": 1, "teacher": 1}
    distiller.test_on_batch(*(part[:8] for part in blobs))
    assert calls == {"student": 2, "teacher": 1}


def test_the_teacher_is_not_touched(blobs):
    student, teacher = classifier(), classifier(16, l2=0.1)
    teacher.layers[1].trainable = False
    before = teacher.get_weights()
    flags = [layer.trainable for layer in flatten_layers(teacher)]
    distiller = Distiller(student, teacher)
    distiller.compile(
        keras.optimizers.AdamW(0.01, weight_decay=0.1), "sparse_categorical_crossentropy", run_eagerly=True
    )
    distiller.fit(*blobs, batch_size=128, verbose=0)
    distiller.trainable = False
    for weight, old in zip(teacher.get_weights(), before, strict=True):
        np.testing.assert_array_equal(weight, old)
    assert [layer.trainable for layer in flatten_layers(teacher)] == flags


def test_only_the_student_counts_as_the_model():
    student, teacher = classifier(), classifier(16, l2=0.1)
    distiller = Distiller(student, teacher)
    assert distiller.layers == [student]
    assert [id(v) for v in distiller.trainable_variables] == [id(v) for v in student.trainable_variables]
    assert [id(v) for v in distiller.weights] == [id(v) for v in student.weights]
    assert distiller.losses == []
    assert not {id(layer) for layer in flatten_layers(distiller)} & {
        id(layer) for layer in flatten_layers(teacher)
    }
    # JAX finds the teacher's variables here: all of them, each once, and not trainable.
    frozen = [id(v) for v in distiller.non_trainable_variables]
    assert set(frozen) == {id(v) for v in [*student.non_trainable_variables, *teacher.variables]}
    assert len(frozen) == len(set(frozen))


def test_a_teacher_that_shares_layers_with_the_student(blobs):
    inputs = keras.Input((8, 8, 1))
    features = keras.layers.Dense(6, "relu", activity_regularizer="l2")(keras.layers.Flatten()(inputs))
    student = keras.Model(inputs, keras.layers.Dense(CLASSES, "softmax")(features))
    teacher = keras.Model(inputs, keras.layers.Dense(CLASSES, "softmax")(features))
    distiller = Distiller(student, teacher, student_loss_weight=0.5)
    distiller.compile(keras.optimizers.SGD(0.0), "sparse_categorical_crossentropy", run_eagerly=True)
    student.compile("sgd", "sparse_categorical_crossentropy", run_eagerly=True)
    expected = student.evaluate(*blobs, batch_size=32, verbose=0)
    logs = distiller.fit(*blobs, batch_size=32, verbose=0).history
    np.testing.assert_allclose(logs["student_loss"], expected, rtol=1e-5)


@pytest.mark.parametrize("use_labels", [True, pytest.param(False, marks=pytest.mark.slow)])
def test_the_student_moves_towards_the_teacher(blobs, use_labels):
    x, y = blobs
    teacher = classifier(32)
    teacher.compile(keras.optimizers.Adam(0.01), "sparse_categorical_crossentropy")
    teacher.fit(x, y, epochs=5, verbose=0)
    student = classifier()
    distiller = Distiller(student, teacher, [SoftTargets(2.0)])
    distiller.compile(keras.optimizers.Adam(0.01), "sparse_categorical_crossentropy" if use_labels else None)

    def divergence():
        return float(SoftTargets(1.0)(teacher.predict(x, verbose=0), student.predict(x, verbose=0)))

    before = divergence()
    distiller.fit(x, y if use_labels else None, epochs=6, verbose=0)
    assert divergence() < 0.2 * before
    assert (student.predict(x, verbose=0).argmax(-1) == y).mean() > 0.9


def test_outputs_of_several_heads_are_compared_one_by_one(blobs):
    x = blobs[0][:32]
    y = {"a": blobs[1][:32] % 3, "b": blobs[1][:32]}
    weights = {name: np.random.default_rng(seed).uniform(size=32) for seed, name in enumerate("ab")}
    student, teacher = two_heads(6), two_heads(16)
    distiller = Distiller(student, teacher, [SoftTargets(2.0)])
    distiller.compile(
        keras.optimizers.SGD(0.0),
        {name: "sparse_categorical_crossentropy" for name in "ab"},
        run_eagerly=True,
    )
    logs = distiller.fit(x, y, sample_weight=weights, batch_size=32, verbose=0).history
    s, t = student(x), teacher(x)
    expected = sum((reference(np.log(t[n]), np.log(s[n]), 2.0) * weights[n]).mean() for n in "ab")
    np.testing.assert_allclose(logs["distillation_loss"], expected, rtol=1e-4)


def test_masked_positions_do_not_count():
    # why wide weights: embeddings of Keras start within 0.05 of zero, so student and teacher agree to a thousandth, and
    # their divergence is what is left of terms a thousand times as large.
    def tagger(units, seed):
        vectors = keras.layers.Embedding(
            10, units, keras.initializers.RandomNormal(stddev=1.0, seed=seed), mask_zero=True
        )
        classes = keras.layers.Dense(3, "softmax", kernel_initializer=keras.initializers.GlorotUniform(seed))
        return keras.Sequential([keras.Input((5,), dtype="int32"), vectors, classes])

    x = np.array([[1, 2, 3, 0, 0], [4, 0, 0, 0, 0]])
    student, teacher = tagger(4, seed=0), tagger(8, seed=1)
    distiller = Distiller(student, teacher, [SoftTargets(2.0)])
    distiller.compile(keras.optimizers.SGD(0.0), "sparse_categorical_crossentropy", run_eagerly=True)
    logs = distiller.fit(x, np.zeros((2, 5)), verbose=0).history
    expected = reference(np.log(teacher(x)), np.log(student(x)), 2.0)[x > 0].mean()
    np.testing.assert_allclose(logs["distillation_loss"], expected, rtol=1e-4)
