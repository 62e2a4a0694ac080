"""Outputs of every form."""

import keras
import numpy as np
import pytest
from keras import layers

import tfopt.distillation as td
from tests.distillation.output_forms import FORMS, IMAGES, SMALL, N, anchors, classes, pixels
from tests.distillation.references import normal


def as_numpy(nest):
    return keras.tree.map_structure(lambda x: np.asarray(x, "float64"), nest)


@pytest.mark.parametrize("form", FORMS.values(), ids=FORMS)
def test_the_loss_of_a_step(form):
    student, teacher = form.make(1), (form.make_teacher or form.make)(2)
    distiller = td.Distiller(student, teacher, form.losses, preprocess=form.preprocess)
    distiller.compile(keras.optimizers.SGD(0.0), run_eagerly=True)
    y = form.y if form.y is not None else np.zeros(N)
    logs = distiller.train_on_batch(form.x, y, form.weights, return_dict=True)
    given = form.x if form.preprocess is None else np.repeat(np.repeat(form.x, 2, 1), 2, 2)
    expected = form.expected(as_numpy(teacher(given)), as_numpy(student(form.x)), form.weights)
    assert expected > 1e-3
    np.testing.assert_allclose(logs["distillation_loss"], expected, rtol=2e-4)


def test_preprocess_is_saved(tmp_path):
    form = FORMS["larger images for the teacher"]
    distiller = td.Distiller(form.make(1), form.make(2), form.losses, preprocess=form.preprocess)
    distiller.compile(keras.optimizers.SGD(0.0))
    values = [distiller.train_on_batch(SMALL, np.zeros(N), return_dict=True)["distillation_loss"]]
    distiller.save(tmp_path / "d.keras")
    loaded = keras.models.load_model(tmp_path / "d.keras")
    values.append(loaded.train_on_batch(SMALL, np.zeros(N), return_dict=True)["distillation_loss"])
    np.testing.assert_allclose(*values, rtol=1e-6)


def test_an_offset_is_seen():
    """What `LogitMSE` takes for no difference, since softmax does, is one of 1 in a regression."""
    t, s = normal((N, 4), 0), normal((N, 4), 0) + 1.0
    np.testing.assert_allclose(td.LogitMSE(from_logits=True)(t, s), 0.0, atol=1e-12)
    np.testing.assert_allclose(td.OutputMatching()(t, s), 1.0, rtol=1e-6)


CROSSENTROPY = keras.losses.SparseCategoricalCrossentropy(from_logits=True)


@pytest.mark.parametrize(
    ("student", "compiled", "teacher", "expected"),
    [
        (("softmax", 4), None, "softmax", "SoftTargets from_logits=False"),
        (("softmax", 4), "mse", None, "SoftTargets from_logits=False teacher_from_logits=True"),
        (("sigmoid", 1), None, "sigmoid", "SoftTargets from_logits=False"),
        (("sigmoid", 4), None, "sigmoid", "BinarySoftTargets from_logits=False"),
        (("relu", 4), None, "relu", "OutputMatching"),
        ((None, 4), CROSSENTROPY, "softmax", "SoftTargets from_logits=True teacher_from_logits=False"),
        ((None, 4), "binary_crossentropy", None, "BinarySoftTargets from_logits=True"),
        ((None, 1), keras.losses.BinaryCrossentropy(True), None, "SoftTargets from_logits=True"),
        ((None, 4), "mae", None, "OutputMatching"),
    ],
)
def test_the_default_suits_the_student(student, compiled, teacher, expected):
    model = classes(*student)
    if compiled is not None:
        model.compile(loss=compiled)
    (loss,) = td.Distiller(model, classes(teacher, student[1])).distillation_losses
    config = {
        name: value
        for name, value in loss.get_config().items()
        if "from_logits" in name and value is not None
    }
    assert " ".join([type(loss).__name__, *(f"{name}={value}" for name, value in config.items())]) == expected


def test_each_output_gets_its_own_default():
    model = anchors()
    model.compile(loss={"kind": "sparse_categorical_crossentropy", "box": "mse"})
    distiller = td.Distiller(model, anchors(2))
    names = [type(loss).__name__ for loss in distiller.distillation_losses]
    assert dict(zip(distiller._loss_outputs, names, strict=True)) == {
        "box": "OutputMatching",
        "kind": "SoftTargets",
    }


@pytest.mark.parametrize(
    ("make", "arguments", "message"),
    [
        (
            lambda: classes(None),
            {},
            r"'losses' argument .* ends in 'linear', .*SoftTargets\(from_logits=True\)",
        ),
        (
            lambda: classes("softmax"),
            {"losses": [td.BinarySoftTargets()]},
            r"'softmax' over 4 classes. Use SoftT",
        ),
        (
            lambda: classes("softmax", 2),
            {"losses": [td.DIST()]},
            r"has 2 classes, .* 1 or -1. Use SoftTargets",
        ),
        (
            anchors,
            {"losses": {"box": td.SoftTargets()}},
            r"SoftTargets has from_logits=False, .* ends in 'linear'.*Use OutputMatching",
        ),
        (
            lambda: classes("softmax", 7),
            {"losses": [td.SoftTargets(teacher_classes=[0, 1])]},
            r"\(None, 7\) from the teacher and \(None, 7\) from the student. .*teacher_classes",
        ),
        (
            lambda: pixels("softmax"),
            {
                "teacher": keras.Sequential(
                    [keras.Input((8, 8, 2)), layers.Conv2D(3, 5, activation="softmax")]
                )
            },
            r"takes? .*student has, of shape \(None, 4, 4, 2\). Got .*\(None, 8, 8, 2\).* Pass preprocess=",
        ),
        (
            lambda: classes("softmax"),
            {"preprocess": 3},
            r"'preprocess' argument .* layer or a function.* Got 3",
        ),
    ],
)
def test_what_does_not_fit_is_refused_with_what_does(make, arguments, message):
    with pytest.raises((ValueError, TypeError), match=message):
        td.Distiller(make(), **{"teacher": make(), **arguments})


@pytest.mark.parametrize(
    ("loss", "compiled", "message"),
    [
        (td.LogitMSE(from_logits=True), "mse", r"LogitMSE compares logits .* for values. Use OutputMatching"),
        (td.SoftTargets(from_logits=True), keras.losses.Huber(), r"for values. Use OutputMatching"),
        (td.DIST(from_logits=True), "binary_crossentropy", r"independent labels. Use BinarySoftTargets"),
        (td.BinarySoftTargets(from_logits=True), CROSSENTROPY, r"logits over classes. Use SoftTargets"),
    ],
)
def test_losses_that_contradict_the_students_own(loss, compiled, message):
    distiller = td.Distiller(classes(None), classes(None, seed=2), [loss])
    distiller.compile("sgd", compiled)
    with pytest.raises(ValueError, match=message):
        distiller.fit(IMAGES, np.zeros((N, 4)), verbose=0)


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: td.SoftTargets(teacher_from_logits=1), TypeError, r"'teacher_from_logits' .* Got 1 instead"),
        (
            lambda: td.SoftTargets(teacher_classes=[0.5]),
            TypeError,
            r"'teacher_classes' .* Got \[0.5\] instead",
        ),
        (
            lambda: td.SoftTargets(teacher_classes=[-1]),
            ValueError,
            r"'teacher_classes' .* Got \[-1\] instead",
        ),
        (lambda: td.OutputMatching("mee"), ValueError, r"'loss' argument of OutputMatching .* Got 'mee'"),
        (lambda: td.DIST(beta=-1), ValueError, r"'beta' argument of DIST .* Got -1"),
    ],
)
def test_bad_arguments(make, error, message):
    with pytest.raises(error, match=message):
        make()
