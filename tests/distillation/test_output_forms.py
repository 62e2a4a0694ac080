"""Outputs of every form, and models that differ: the loss of one step against NumPy.

A new form adds a row to FORMS.
"""

import dataclasses
from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import pytest
from keras import layers

import tfopt.distillation as td
from tests.distillation.references import bernoulli, bounded, dist, normal, reference

N = 6
IMAGES = normal((N, 4, 4, 2), 0).astype("float32")
WORDS = np.array([[1, 2, 3, 0, 0], [4, 5, 6, 7, 8]] * 3)
SMALL = normal((N, 4, 4, 2), 4).astype("float32")


def classes(activation, count=4, seed=1):
    """Conv, mean, Dense: one row of classes or labels per image."""
    x = layers.Conv2D(5, 3, kernel_initializer=keras.initializers.GlorotNormal(seed), name="conv")(
        inputs := keras.Input((None, None, 2))
    )
    initializer = keras.initializers.RandomNormal(stddev=1.0, seed=seed)
    x = layers.Dense(count, activation, kernel_initializer=initializer)(layers.GlobalAveragePooling2D()(x))
    return keras.Model(inputs, x)


def pixels(activation, count=3, seed=1):
    """One row of classes or values per pixel."""
    initializer = keras.initializers.RandomNormal(stddev=1.0, seed=seed)
    inputs = keras.Input((4, 4, 2))
    return keras.Model(
        inputs, layers.Conv2D(count, 1, activation=activation, kernel_initializer=initializer)(inputs)
    )


def tagger(seed=1):
    """One row of classes per word, of which those after the end are masked."""
    initializer = keras.initializers.RandomNormal(stddev=1.0, seed=seed)
    inputs = keras.Input((5,))
    x = layers.Embedding(10, 3, embeddings_initializer=initializer, mask_zero=True)(inputs)
    return keras.Model(inputs, x)


def anchors(seed=1):
    """A class and a box for each of four anchors."""
    initializer = keras.initializers.RandomNormal(stddev=1.0, seed=seed)
    x = layers.Reshape((4, 8))(inputs := keras.Input((4, 4, 2)))
    heads = {"kind": (3, "softmax"), "box": (4, None)}
    return keras.Model(
        inputs,
        {n: layers.Dense(c, a, kernel_initializer=initializer)(x) for n, (c, a) in heads.items()},
    )


def weights_of(*shape):
    return np.random.default_rng(3).uniform(0, 2, shape).astype("float32")


@dataclasses.dataclass(frozen=True)
class Form:
    """Two models, the distillation losses, and their value in NumPy from both models' outputs."""

    make: Callable
    losses: Any
    expected: Callable  # (teacher's outputs, student's outputs, sample weights) -> loss
    make_teacher: Callable | None = None
    x: np.ndarray = dataclasses.field(default_factory=lambda: IMAGES)
    y: Any = None
    weights: Any = None
    preprocess: Any = None


def logit(p):
    return np.log(p) - np.log(1 - p)


def mse(t, s):
    return ((t - s) ** 2).mean(-1)


FORMS = {
    "several labels": Form(
        lambda seed: classes("sigmoid", seed=seed),
        [td.BinarySoftTargets(2.0)],
        lambda t, s, w: (w * bernoulli(logit(t), logit(s), 2.0)).mean(),
        weights=weights_of(N),
    ),
    "logits of several labels": Form(
        lambda seed: classes(None, seed=seed),
        [td.BinarySoftTargets(2.0, from_logits=True)],
        lambda t, s, w: bernoulli(t, s, 2.0).mean(),
    ),
    "values": Form(
        lambda seed: classes(None, 2, seed=seed),
        [td.OutputMatching()],
        lambda t, s, w: (w * mse(t, s)).mean(),
        weights=weights_of(N),
    ),
    "depth, a weight per pixel": Form(
        lambda seed: pixels("softplus", 1, seed),
        [td.OutputMatching("mae", weight=0.5)],
        lambda t, s, w: 0.5 * (w * abs(t - s)[..., 0]).mean(),
        weights=weights_of(N, 4, 4),
    ),
    "heat maps, a weight per image": Form(
        lambda seed: pixels("sigmoid", 3, seed),
        [td.OutputMatching()],
        lambda t, s, w: (w[:, None, None] * mse(t, s)).mean(),
        weights=weights_of(N),
    ),
    "segmentation, a weight per pixel": Form(
        lambda seed: pixels("softmax", 3, seed),
        [td.SoftTargets(2.0)],
        lambda t, s, w: (w * reference(np.log(t), np.log(s), 2.0)).mean(),
        weights=weights_of(N, 4, 4),
    ),
    "segmentation, a weight per image": Form(
        lambda seed: pixels("softmax", 3, seed),
        [td.SoftTargets(2.0), td.DIST()],
        lambda t, s, w: (
            w[:, None, None] * (reference(np.log(t), np.log(s), 2.0) + dist(np.log(t), np.log(s)))
        ).mean(),
        weights=weights_of(N),
    ),
    "a sequence with a mask": Form(
        tagger,
        [td.SoftTargets(2.0, from_logits=True)],
        lambda t, s, w: reference(t, s, 2.0)[WORDS > 0].mean(),
        x=WORDS,
    ),
    "anchors": Form(
        anchors,
        {"kind": td.SoftTargets(2.0), "box": [td.OutputMatching("huber"), td.BoundedRegression(weight=0.5)]},
        lambda t, s, w: (
            (w["kind"] * reference(np.log(t["kind"]), np.log(s["kind"]), 2.0)).mean()
            + (w["box"][:, None] * huber_of(t["box"], s["box"])).mean()
            + 0.5 * (w["box"][:, None] * bounded(t["box"], s["box"], BOXES)).mean()
        ),
        weights={"kind": weights_of(N, 4), "box": weights_of(N)},
        y={"kind": np.zeros((N, 4)), "box": normal((N, 4, 4), 9).astype("float32")},
    ),
    "a teacher with logits, a student with probabilities": Form(
        lambda seed: classes("softmax", seed=seed),
        [td.SoftTargets(2.0, teacher_from_logits=True), td.LogitMSE(teacher_from_logits=True)],
        lambda t, s, w: (reference(t, np.log(s), 2.0) + (centred(t - np.log(s)) ** 2).mean(-1)).mean(),
        make_teacher=lambda seed: classes(None, seed=seed),
    ),
    "a teacher with probabilities, a student with logits": Form(
        lambda seed: classes(None, seed=seed),
        [td.DIST(from_logits=True, teacher_from_logits=False)],
        lambda t, s, w: dist(np.log(t), s).mean(),
        make_teacher=lambda seed: classes("softmax", seed=seed),
    ),
    "other classes, in another order": Form(
        lambda seed: classes("softmax", 3, seed),
        [td.SoftTargets(2.0, teacher_classes=[4, 0, 2])],
        lambda t, s, w: reference(np.log(t[:, [4, 0, 2]]), np.log(s), 2.0).mean(),
        make_teacher=lambda seed: classes("softmax", 6, seed),
    ),
    "other labels, in another order": Form(
        lambda seed: classes("sigmoid", 2, seed),
        [td.BinarySoftTargets(2.0, teacher_classes=np.array([3, 1]))],
        lambda t, s, w: bernoulli(logit(t[:, [3, 1]]), logit(s), 2.0).mean(),
        make_teacher=lambda seed: classes("sigmoid", seed=seed),
    ),
    "larger images for the teacher": Form(
        lambda seed: classes("softmax", seed=seed),
        [td.SoftTargets(2.0)],
        lambda t, s, w: reference(np.log(t), np.log(s), 2.0).mean(),
        x=SMALL,
        preprocess=layers.UpSampling2D(2),
    ),
}
BOXES = FORMS["anchors"].y["box"]


def centred(x):
    return x - x.mean(-1, keepdims=True)


def huber_of(t, s):
    d = abs(t - s)
    return np.where(d < 1, d**2 / 2, d - 0.5).mean(-1)


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
