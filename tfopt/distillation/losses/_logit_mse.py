"""Logit regression: the student's logits follow the teacher's."""

from collections.abc import Sequence
from typing import Any

import keras
from keras import ops

from tfopt.distillation._settings import Setting
from tfopt.distillation.losses._class_loss import ClassLoss, float32_or_wider


def logit_mse(teacher_logits: Any, student_logits: Any) -> Any:
    """Mean squared difference of the logits, after each sample's own mean logit is subtracted.

    `mean over classes of ((t - mean(t)) - (s - mean(s)))^2` (Ba & Caruana 2014, "Do Deep Nets Really Need to be
    Deep?", arXiv 1312.6184). A constant added to all logits does not change softmax, so it does not change this loss;
    up to the factor 1 / 2 it is the limit of `soft_targets` as the temperature grows (Hinton et al. 2015, equation 4).

    Args:
        teacher_logits: tensor of shape `(..., classes)`, any float dtype.
        student_logits: tensor of the same shape.

    Returns:
        A tensor of shape `(...)`, in at least float32.

    >>> from tfopt.distillation import logit_mse
    >>> [float(value) for value in logit_mse([[2.0, 0.0], [1.0, 1.0]], [[0.0, 0.0], [3.0, 3.0]])]
    [1.0, 0.0]
    """
    difference = float32_or_wider(teacher_logits) - float32_or_wider(student_logits)
    centered = difference - ops.mean(difference, axis=-1, keepdims=True)
    return ops.mean(ops.square(centered), axis=-1)


@keras.saving.register_keras_serializable(package="tfopt")
class LogitMSE(ClassLoss):
    """Teaches the student the teacher's logits by regression.

    It has no temperature to tune, and gives small probabilities more weight than all other losses over classes. Each
    sample's loss is

        mean over classes of ((t - mean(t)) - (s - mean(s)))^2        for logits t (teacher) and s (student)

    from Ba & Caruana 2014, arXiv 1312.6184; see `logit_mse`. An offset of all outputs is no difference to a softmax,
    and so none here: for values (regression, boxes, depth, heat maps) use `OutputMatching`.

    Args:
        from_logits: False if both models return probabilities (their logarithm is taken), True for logits.
        weight: factor of this loss in the total loss, a number or a schedule of the training step.
        name: name of the loss.
        teacher_from_logits: `from_logits` for the teacher alone, where it is another.
        teacher_classes: for each class of the student, its index in the teacher's output; None for the same classes.

    Raises:
        ValueError: `weight` is negative, or (from the `Distiller`) the models' outputs do not fit.
        TypeError: `from_logits` is not a bool.

    Example:

    >>> import numpy as np, tfopt
    >>> print(float(tfopt.distillation.LogitMSE(from_logits=True)(np.array([[2.0, 0.0]]), np.array([[5.0, 5.0]]))))
    1.0
    """

    def __init__(
        self,
        from_logits: bool = False,
        weight: Setting = 1.0,
        name: str | None = "logit_mse",
        teacher_from_logits: bool | None = None,
        teacher_classes: Sequence[int] | None = None,
    ) -> None:
        super().__init__(from_logits, weight, name, teacher_from_logits, teacher_classes)

    def compare_logits(self, teacher: Any, student: Any, target: Any) -> Any:
        return logit_mse(teacher, student)
