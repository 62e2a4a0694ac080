"""Ensembles, students that teach themselves, losses of `keras.distillation`, and schedules of the step."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

import tfopt.distillation as td
from tests.distillation.test_distiller import classifier, crossentropy
from tests.distillation.test_soft_targets import reference
from tests.strategies import two_devices


def step(distiller, x, y, learning_rate=0.0, **settings):
    distiller.compile(keras.optimizers.SGD(learning_rate), "sparse_categorical_crossentropy", **settings)
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
    distiller.compile(keras.optimizers.Adam(0.01), "sparse_categorical_crossentropy")
    distiller.fit(*blobs, verbose=0)
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


def test_the_mean_teacher_follows_the_student(blobs, tmp_path):
    x, y = blobs[0][:64], blobs[1][:64]
    student = classifier()
    distiller = td.Distiller(student, td.EMATeacher(decay=0.8), [td.SoftTargets(1.0)])
    distiller.compile(keras.optimizers.SGD(0.1), "sparse_categorical_crossentropy")
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
            distiller = td.Distiller(
                student, td.EMATeacher(0.9), [td.FeatureMatching(["flatten_x"])][:0] or None
            )
            distiller.compile(keras.optimizers.SGD(0.1), "sparse_categorical_crossentropy")
        distiller.fit(data, shuffle=False, verbose=0)
        return [np.array(v) for v in (*distiller.teacher_state.averages, *student.trainable_variables)]

    for a, b in zip(
        run(tf.distribute.get_strategy()),
        run(two_devices()),
        strict=True,
    ):
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


def exits(kind):
    inputs = keras.Input((8, 8, 1))
    x, heads = layers.Flatten()(inputs), {}
    for name in ("first", "second", "third"):
        x = layers.Dense(6, "relu", name=f"{name}_block")(x)
        heads[name] = layers.Dense(4, "softmax", name=name)(x)
    return keras.Model(inputs, heads if kind == "dict" else list(heads.values()))


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
    distiller.compile(keras.optimizers.SGD(0.0))
    logs = distiller.train_on_batch(x, return_dict=True)
    expected = sum(reference(np.log(s[t]), np.log(s[i]), 2.0).mean() for t, i in taught)
    np.testing.assert_allclose(logs["distillation_loss"], expected, rtol=1e-4)


def test_no_gradient_flows_into_the_exit_that_teaches(blobs):
    student = exits("dict")
    before = student.get_layer("third").get_weights()
    distiller = td.Distiller(student, td.SelfDistillation(), [td.SoftTargets(2.0)])
    distiller.compile(keras.optimizers.SGD(1.0))
    distiller.fit(blobs[0], verbose=0)
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
        keras.optimizers.SGD(0.0), {name: "sparse_categorical_crossentropy" for name in student.output}
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
    distiller.compile("sgd")
    with pytest.raises(ValueError, match=r"'pairs' .* names the output 'fifth', .* outputs are"):
        distiller.train_on_batch(blobs[0][:8])
    distiller = td.Distiller(classifier(), td.SelfDistillation())
    distiller.compile("sgd")
    with pytest.raises(ValueError, match=r"SelfDistillation needs a student with several outputs"):
        distiller.train_on_batch(blobs[0][:8])


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
    distiller.compile("adam", "sparse_categorical_crossentropy")
    assert isinstance(distiller.optimizer, keras.optimizers.LossScaleOptimizer)
    logs = distiller.fit(*blobs, epochs=2, verbose=0).history
    assert np.isfinite(list(logs.values())).all() and logs["distillation_loss"][1] > 0


def test_schedules_are_saved(tmp_path, blobs):
    loss = td.SoftTargets(keras.optimizers.schedules.ExponentialDecay(4.0, 10, 0.5), weight=warm_up)
    distiller = td.Distiller(classifier(), classifier(), [loss])
    distiller.compile("sgd", "sparse_categorical_crossentropy")
    distiller.fit(*blobs, verbose=0)
    distiller.save(tmp_path / "d.keras")
    (loaded,) = keras.models.load_model(tmp_path / "d.keras").distillation_losses
    assert loaded.weight is warm_up
    assert loaded.temperature.get_config() == loss.temperature.get_config()
    assert float(loaded.at(10).temperature) == 2.0


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
    distiller.compile("sgd", "mse")
    logs = distiller.train_on_batch(x, y.astype("float32"), return_dict=True)
    assert np.isfinite(logs["distillation_loss"])
