"""Checks of the Distiller's arguments. Each error message says how to fix the problem."""

import math
from typing import Any

import keras

from tfopt._keras_model import check_keras_model
from tfopt.distillation.losses._loss import DistillationLoss, same_sizes, symbolic_inputs
from tfopt.distillation.teachers._teachers import Teacher, flat_teachers
from tfopt.graph import check_finite


def check_models(student: Any, teacher: Any) -> None:
    """Raise unless the student is a model, and each teacher is valid, built, and another object than the student."""
    check_keras_model(student, "'student' argument of Distiller")
    if isinstance(teacher, (list, tuple)) and not teacher:
        raise ValueError(
            "The 'teacher' argument of Distiller must hold at least one teacher. Got an empty list instead. Pass a "
            "model, a list of models to average, or tfopt.EMATeacher() for a student that teaches itself."
        )
    for one in flat_teachers(teacher):
        _check_teacher(student, one)


def _check_teacher(student: keras.Model, teacher: Any) -> None:
    if not callable(teacher) and not isinstance(teacher, Teacher):
        raise TypeError(
            "The 'teacher' argument of Distiller must be a Keras model, or a callable from inputs to outputs, a list "
            f"of these, or a tfopt teacher. Got {type(teacher).__name__} instead."
        )
    if teacher is student:
        raise ValueError(
            "The 'teacher' argument of Distiller is the student itself, so there is nothing to learn. Pass a copy: "
            "keras.models.clone_model(student), then set_weights(student.get_weights()), or tfopt.EMATeacher()."
        )
    if isinstance(teacher, keras.Layer) and not teacher.built:
        raise ValueError(
            f"The 'teacher' argument of Distiller must be a trained model, but {teacher.name!r} is not built. "
            "Train it or load its weights first."
        )
    if isinstance(teacher, keras.Model):
        check_finite(teacher, "teacher")  # else the student learns NaN


def check_preprocess(student: keras.Model, teacher: Any, preprocess: Any) -> None:
    """Raise unless each teacher takes what `preprocess` makes of the student's inputs, as far as both are known."""
    if preprocess is not None and not callable(preprocess):
        raise TypeError(
            "The 'preprocess' argument of Distiller must be a Keras layer or a function from the student's inputs to "
            f"the teacher's. Got {preprocess!r} instead."
        )
    if isinstance(preprocess, keras.Layer) and preprocess.weights:
        raise ValueError(
            f"The 'preprocess' argument of Distiller must have no weights, which nothing would train. Got "
            f"{preprocess.name!r}, which has some, instead. Make it a part of the teacher: "
            "keras.Sequential([layer, teacher])."
        )
    given = _single_input(student)
    made = _made_by(preprocess, given) if preprocess is not None and given is not None else given
    for one in flat_teachers(teacher):
        wanted = _single_input(one)
        if made is None or wanted is None or same_sizes(wanted.shape, made.shape):
            continue
        source = "the student has" if preprocess is None else "'preprocess' makes of the student's"
        raise ValueError(
            f"The teacher {one.name!r} must take the inputs that {source}, of shape {tuple(made.shape)}. Got a teacher "
            f"for {tuple(wanted.shape)} instead. Pass preprocess= to Distiller, a layer or function from the student's "
            "inputs to the teacher's, such as keras.layers.Resizing(height, width) for images."
        )


def _single_input(model: Any) -> Any:
    """The input of a Keras model, as a Keras tensor; None if it is not known, or if there are several."""
    inputs = keras.tree.flatten(symbolic_inputs(model)) if isinstance(model, keras.Model) else []
    return inputs[0] if len(inputs) == 1 else None


def _made_by(preprocess: Any, inputs: Any) -> Any:
    """The Keras tensor that `preprocess` makes; None if it makes several, or cannot be run without data."""
    try:
        made = preprocess(inputs)
    except (TypeError, ValueError, NotImplementedError):
        return None
    return made if isinstance(made, keras.KerasTensor) else None


def check_losses(losses: Any, student_loss_weight: float) -> None:
    """Raise unless there is at least one distillation loss, and the student's own loss has a valid weight."""
    if not isinstance(losses, (list, tuple)) or not all(isinstance(one, DistillationLoss) for one in losses):
        raise TypeError(
            "The 'losses' argument of Distiller must be a list of tfopt.distillation.DistillationLoss objects, "
            f"or a dict of them by output. Got {losses!r} instead. Pass, for example, "
            "losses=[tfopt.SoftTargets(temperature=4.0)]."
        )
    if not losses:
        raise ValueError(
            "The 'losses' argument of Distiller must hold at least one distillation loss. Got [] instead. "
            "Leave it out to use what suits the student's outputs."
        )
    if not (math.isfinite(student_loss_weight) and student_loss_weight >= 0):
        raise ValueError(
            "The 'student_loss_weight' argument of Distiller must be a finite number >= 0. "
            f"Got {student_loss_weight} instead. 1.0 leaves the student's loss as it is."
        )
