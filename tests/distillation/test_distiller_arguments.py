"""What the Distiller refuses, and what it takes for a teacher, a loss or an output."""

import keras
import numpy as np
import pytest

from tests.distillation.models import CLASSES, Subclassed, built, classifier, two_heads
from tfopt.distillation import DistillationLoss, Distiller, SoftTargets


def test_any_callable_can_teach(blobs):
    distiller = Distiller(
        classifier(), lambda x: keras.ops.full((keras.ops.shape(x)[0], CLASSES), 1 / CLASSES)
    )
    distiller.compile("adam", "sparse_categorical_crossentropy", run_eagerly=True)
    assert distiller.fit(*blobs, batch_size=128, verbose=0).history["distillation_loss"][0] > 0


class OutputSum(DistillationLoss):
    """A loss of a user's own: one method is all it takes."""

    def call(self, teacher, student):
        return keras.ops.sum(student, axis=-1)


def test_a_loss_of_ones_own(blobs):
    distiller = Distiller(classifier(), classifier(16), [OutputSum(weight=0.5)])
    distiller.compile("sgd", "sparse_categorical_crossentropy", run_eagerly=True)
    logs = distiller.fit(*blobs, batch_size=128, verbose=0).history
    np.testing.assert_allclose(logs["distillation_loss"], 0.5, rtol=1e-5)


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"student": "resnet"}, TypeError, r"'student' argument .* must be a Keras 3 model. Got str instead"),
        ({"teacher": 3}, TypeError, r"'teacher' argument .* Keras model, or a callable .* Got int instead"),
        (
            {"teacher": Subclassed},
            ValueError,
            r"'teacher' argument .* 'subclassed.*' is not built. Train it",
        ),
        ({"losses": SoftTargets}, TypeError, r"'losses' argument .* list .* losses=\[tfopt.SoftTargets"),
        (
            {"losses": lambda: ["mse"]},
            TypeError,
            r"'losses' argument .*DistillationLoss objects, .* Got \['mse'\] instead",
        ),
        (
            {"losses": list},
            ValueError,
            r"'losses' argument .* at least one .* Leave it out to use what suits",
        ),
        (
            {"student_loss_weight": -1},
            ValueError,
            r"'student_loss_weight' .* finite number >= 0. Got -1 instead",
        ),
    ],
)
def test_bad_arguments(arguments, error, message):
    made = {key: value() if callable(value) else value for key, value in arguments.items()}
    with pytest.raises(error, match=message):
        Distiller(**{"student": classifier(), "teacher": classifier(), **made})


def test_the_student_cannot_teach_itself():
    student = classifier()
    with pytest.raises(ValueError, match=r"'teacher' argument .* is the student itself.*clone_model"):
        Distiller(student, student)


@pytest.mark.parametrize(
    ("teacher", "message"),
    [
        (
            lambda: keras.Sequential([keras.Input((8, 8, 1)), keras.layers.Softmax()]),
            r"\(None, 8, 8, 1\) from the teacher",
        ),
        (
            lambda: two_heads(4),
            r"a: \(None, 3\), b: \(None, 5\) from the teacher and \(None, 4\) from the student",
        ),
        (
            lambda: built(Subclassed(classes=7, penalty=0)),
            r"\(None, 7\) from the teacher and \(None, 4\) from the student",
        ),
    ],
)
def test_models_with_other_outputs_are_refused_at_construction(teacher, message):
    with pytest.raises(ValueError, match=r"same structure and shapes. Got " + ".*" + message):
        Distiller(classifier(), teacher())


def test_heads_of_other_names_are_refused():
    with pytest.raises(
        ValueError, match=r"Got a: .*, b: .* from the teacher and a: .*, c: .* from the student"
    ):
        Distiller(two_heads(4, names=("a", "c")), two_heads(4))


def test_one_output_in_a_list_is_one_output(blobs):
    student = classifier()
    boxed = keras.Model(student.inputs, [student.outputs[0]])
    assert isinstance(boxed.output, list)
    for pair in ((boxed, classifier(16)), (classifier(16), boxed)):
        distiller = Distiller(*pair)
        distiller.compile("sgd", "sparse_categorical_crossentropy", run_eagerly=True)
        assert distiller.fit(*blobs, batch_size=128, verbose=0).history["distillation_loss"][0] > 0


def test_shapes_not_known_before_are_refused_at_the_first_batch(blobs):
    distiller = Distiller(Subclassed(classes=3), classifier())
    distiller.compile("sgd", "sparse_categorical_crossentropy", run_eagerly=True)
    with pytest.raises(ValueError, match=r"Got \(.*, 4\) from the teacher and \(.*, 3\) from the student"):
        distiller.fit(blobs[0], blobs[1] % 3, verbose=0)
