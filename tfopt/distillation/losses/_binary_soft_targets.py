"""Soft targets of labels that are independent of each other: the student learns the teacher's probability of each."""

from collections.abc import Sequence
from typing import Any

import keras
from keras import ops

from tfopt.distillation._settings import Setting, check_setting, serialize_setting
from tfopt.distillation.losses._class_loss import ClassLoss, float32_or_wider
from tfopt.distillation.losses._soft_targets import soft_targets


def binary_soft_targets(teacher_logits: Any, student_logits: Any, temperature: Any = 1.0) -> Any:
    """Divergence of the student's softened probability of each label from the teacher's, scaled by T^2.

    `mean over labels of T^2 * KL(Bernoulli(sigmoid(t / T)) || Bernoulli(sigmoid(s / T)))`: the soft targets of Hinton,
    Vinyals & Dean 2015 (arXiv 1503.02531) for each label against its absence, and the mean as in binary crossentropy.

    Args:
        teacher_logits: tensor of shape `(..., labels)`, any float dtype.
        student_logits: tensor of the same shape.
        temperature: T > 0.

    Returns:
        A tensor of shape `(...)`, in at least float32.

    >>> from tfopt.distillation import binary_soft_targets
    >>> values = binary_soft_targets([[2.0, 0.0], [1.0, 1.0]], [[0.0, 0.0], [1.0, 1.0]])
    >>> [f"{float(value):.4f}" for value in values]
    ['0.1639', '0.0000']
    """
    teacher, student = (
        ops.stack([logits, ops.zeros_like(logits)], axis=-1)
        for logits in map(float32_or_wider, (teacher_logits, student_logits))
    )
    return ops.mean(soft_targets(teacher, student, temperature), axis=-1)


@keras.saving.register_keras_serializable(package="tfopt")
class BinarySoftTargets(ClassLoss):
    """Teaches the student the teacher's probability of each label, where several labels may be true at once.

    Use it for models that end in a sigmoid with several columns: tags, attributes, masks of several objects. Each
    sample's (and position's) loss is

        mean over labels of T^2 * KL(Bernoulli(sigmoid(t / T)) || Bernoulli(sigmoid(s / T)))

    from Hinton, Vinyals & Dean 2015, arXiv 1503.02531; see `binary_soft_targets`. With a single column it is
    `SoftTargets`.

    Args:
        temperature: T > 0, a number or a schedule of the training step.
        from_logits: False if both models return probabilities (sigmoid), True if both return logits.
        weight: factor of this loss in the total loss, a number or a schedule of the training step.
        name: name of the loss.
        teacher_from_logits: `from_logits` for the teacher alone, where it is another.
        teacher_classes: for each label of the student, its index in the teacher's output; None for the same labels.

    Raises:
        ValueError: `temperature` is not a finite number > 0, `weight` is negative, or (from the `Distiller`) the
            models' outputs do not fit: another shape, or a softmax.
        TypeError: `from_logits` is not a bool, or a setting is neither a number nor callable.

    Example:

    >>> import numpy as np, tfopt
    >>> loss = tfopt.BinarySoftTargets(temperature=2.0)
    >>> teacher = np.array([[0.9, 0.1]])
    >>> print(f"{float(loss(teacher, np.array([[0.5, 0.5]]))):.4f} {float(loss(teacher, teacher)):.4f}")
    0.5232 0.0000
    """

    scheduled = ("weight", "temperature")
    output_kind = "labels"

    def __init__(
        self,
        temperature: Setting = 4.0,
        from_logits: bool = False,
        weight: Setting = 1.0,
        name: str | None = "binary_soft_targets",
        teacher_from_logits: bool | None = None,
        teacher_classes: Sequence[int] | None = None,
    ) -> None:
        super().__init__(from_logits, weight, name, teacher_from_logits, teacher_classes)
        self.temperature = check_setting("BinarySoftTargets", "temperature", temperature, positive=True)

    def logits(self, outputs: Any, are_logits: bool) -> Any:
        if are_logits:
            return outputs
        smallest = keras.config.epsilon()
        probability = ops.clip(outputs, smallest, 1.0 - smallest)
        return ops.log(probability) - ops.log1p(-probability)

    def compare_logits(self, teacher: Any, student: Any, target: Any) -> Any:
        return binary_soft_targets(teacher, student, self.temperature)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "temperature": serialize_setting(self.temperature)}
