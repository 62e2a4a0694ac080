"""Bounded regression: the teacher is a limit to reach, not a value to copy."""

from typing import Any

import keras
from keras import ops

from tfopt.distillation._settings import Setting, check_setting, serialize_setting
from tfopt.distillation.losses._class_loss import float32_or_wider
from tfopt.distillation.losses._loss import DistillationLoss


def bounded_regression(teacher: Any, student: Any, labels: Any, margin: Any = 0.0) -> Any:
    """The student's squared error, where it is not better than the teacher's by a margin; 0 elsewhere.

    `|s - y|^2 if |s - y|^2 + margin > |t - y|^2 else 0`, with mean squares over the last axis (Chen et al. 2017,
    "Learning Efficient Object Detection Models with Knowledge Distillation", NeurIPS).

    Args:
        teacher: tensor of shape `(..., values)`, any float dtype.
        student: tensor of the same shape.
        labels: the true values, of the same shape.
        margin: how much better than the teacher's squared error the student's must be to be left alone.

    Returns:
        A tensor of shape `(...)`, in at least float32.

    >>> from tfopt.distillation import bounded_regression
    >>> [float(value) for value in bounded_regression([[1.0], [1.0]], [[2.0], [0.5]], [[0.0], [0.0]])]
    [4.0, 0.0]
    """
    student = float32_or_wider(student)
    teacher, labels = (ops.cast(x, student.dtype) for x in (teacher, labels))
    teacher_error, student_error = (
        ops.mean(ops.square(x - labels), axis=-1) for x in (ops.stop_gradient(teacher), student)
    )
    return ops.where(student_error + margin > teacher_error, student_error, 0.0)


@keras.saving.register_keras_serializable(package="tfopt")
class BoundedRegression(DistillationLoss):
    """Pulls a regression towards the labels until it is as good as the teacher, and no further.

    A teacher's regression can be as wrong as the student's, so it is not copied (boxes, angles, depths). Each sample's
    loss is

        |s - y|^2 if |s - y|^2 + margin > |t - y|^2 else 0        for labels y

    from Chen et al. 2017, NeurIPS; see `bounded_regression`. It needs the targets given to `fit`.

    Args:
        margin: how much better than the teacher's mean squared error the student's must be to be left alone, in squared
            units of the labels; a number or a schedule.
        weight: factor of this loss in the total loss, a number or a schedule of the training step.
        name: name of the loss.

    Raises:
        ValueError: `margin` or `weight` is negative, or there are no labels.

    Example:

    >>> import numpy as np, tfopt
    >>> loss = tfopt.distillation.BoundedRegression()
    >>> teacher, labels = np.array([[1.0]]), np.array([[0.0]])
    >>> print(float(loss((teacher, labels), np.array([[2.0]]))), float(loss((teacher, labels), np.array([[0.5]]))))
    4.0 0.0
    """

    scheduled = ("weight", "margin")
    uses_labels = True
    per_position = True

    def __init__(
        self, margin: Setting = 0.0, weight: Setting = 1.0, name: str | None = "bounded_regression"
    ) -> None:
        super().__init__(weight=weight, name=name)
        self.margin = check_setting("BoundedRegression", "margin", margin)

    def call(self, teacher: Any, student: Any) -> Any:
        if not isinstance(teacher, (tuple, list)):
            raise ValueError(
                "BoundedRegression needs the true values beside the teacher's. Got no labels. Pass y to fit."
            )
        teacher, labels = teacher
        return bounded_regression(teacher, student, ops.reshape(labels, ops.shape(student)), self.margin)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "margin": serialize_setting(self.margin)}
