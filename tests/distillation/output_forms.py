"""Outputs of every form that people distil, with the value that a step of each loss has."""

import dataclasses
from collections.abc import Callable
from typing import Any

import keras
import numpy as np
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


def centred(x):
    return x - x.mean(-1, keepdims=True)


def huber_of(t, s):
    d = abs(t - s)
    return np.where(d < 1, d**2 / 2, d - 0.5).mean(-1)


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
