"""A student starts from its teacher: its channels, its blocks, its answers."""

import keras
import numpy as np
import pytest
from keras import layers

import tfopt
from tests.shrinking.nets import make
from tfopt.graph import capture
from tfopt.shrinking import residual_blocks


def test_width_keeps_the_strongest_channels():
    teacher = make("residual_chain")
    before = [np.asarray(w).copy() for w in teacher.weights]
    student = tfopt.make_student(teacher, width=0.5, divisor=1)
    assert 0.2 * teacher.count_params() < student.count_params() < 0.4 * teacher.count_params()
    assert len(residual_blocks(capture(student))) == len(residual_blocks(capture(teacher)))
    theirs = {round(float(v), 6) for w in before for v in w.ravel()}
    ours = {round(float(v), 6) for w in student.weights for v in np.asarray(w).ravel()}
    assert len(ours - theirs) < 0.05 * len(ours)
    for old, weight in zip(before, teacher.weights, strict=True):
        np.testing.assert_array_equal(weight, old)


def test_depth_keeps_blocks_evenly():
    x = inputs = keras.Input((6,))
    for index in range(6):
        x = layers.Add(name=f"sum_{index}")([x, layers.Dense(6, name=f"f_{index}")(x)])
    teacher = keras.Model(inputs, layers.Dense(2)(x))
    student = tfopt.make_student(teacher, width=1.0, depth=0.5)
    kept = [layer.name for layer in student.layers if layer.name.startswith("f_")]
    assert kept == ["f_0", "f_2", "f_4"]
    np.testing.assert_array_equal(student.get_layer("f_2").kernel, teacher.get_layer("f_2").kernel)
    assert len(tfopt.make_student(teacher, width=1.0, depth=0.01).layers) == 4


def test_a_student_learns_from_its_teacher(blobs):
    x, y = blobs
    inputs = keras.Input((8, 8, 1))
    hidden = layers.Flatten()(layers.Conv2D(16, 3, activation="relu")(inputs))
    teacher = keras.Model(inputs, layers.Dense(4, activation="softmax")(hidden))
    teacher.compile("adam", "sparse_categorical_crossentropy")
    teacher.fit(x, y, epochs=5, verbose=0)
    distiller = tfopt.Distiller(tfopt.make_student(teacher, width=0.5), teacher)
    distiller.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    assert distiller.fit(x, y, epochs=3, verbose=0).history["accuracy"][-1] > 0.9


@pytest.mark.parametrize(
    "arguments, words",
    [
        ({"width": 0.0}, r"'width' argument of make_student must be in \(0, 1\].*Got 0.0"),
        ({"depth": 1.5}, r"'depth' argument of make_student must be in \(0, 1\].*Got 1.5"),
        ({"depth": 0.5}, "needs residual blocks"),
    ],
)
def test_errors_teach(arguments, words):
    model = keras.Sequential([keras.Input((4,)), layers.Dense(2)])
    with pytest.raises(ValueError, match=words):
        tfopt.make_student(model, **arguments)
