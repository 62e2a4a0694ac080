"""Soft targets: the student learns the teacher's whole distribution over classes."""

from collections.abc import Sequence
from typing import Any

import keras
from keras import ops

from tfopt.distillation._settings import Setting, check_setting, serialize_setting
from tfopt.distillation.losses._class_loss import ClassLoss, float32_or_wider


def soft_targets(teacher_logits: Any, student_logits: Any, temperature: Any = 1.0) -> Any:
    """Divergence of the student's softened class distribution from the teacher's, scaled by T^2.

    `T^2 * KL(softmax(t / T) || softmax(s / T))` over the last axis (Hinton, Vinyals & Dean 2015, "Distilling the
    Knowledge in a Neural Network", arXiv 1503.02531). Its gradient is `T * (softmax(s / T) - softmax(t / T))`, whose
    size does not shrink as T grows. Computed in at least float32, in the log domain.

    Args:
        teacher_logits: tensor of shape `(..., classes)`, any float dtype. A class may be ruled out with `-inf`.
        student_logits: tensor of the same shape; its dtype may differ.
        temperature: T > 0; the higher, the more the small probabilities count.

    Returns:
        A tensor of shape `(...)`: one value >= 0 per sample (and position), 0 where the distributions are equal.

    >>> from tfopt.distillation import soft_targets
    >>> values = soft_targets([[2.0, 0.0], [1.0, 1.0]], [[0.0, 0.0], [3.0, 3.0]])
    >>> [f"{float(value):.4f}" for value in values]
    ['0.3278', '0.0000']
    """
    log_teacher, log_student = (
        ops.log_softmax(float32_or_wider(logits) / temperature) for logits in (teacher_logits, student_logits)
    )
    probability = ops.exp(log_teacher)
    # 0 * log 0 = 0: without `where`, a class that the teacher rules out with -inf would give NaN.
    terms = ops.where(probability > 0, probability * (log_teacher - log_student), 0.0)
    return temperature**2 * ops.sum(terms, axis=-1)


@keras.saving.register_keras_serializable(package="tfopt")
class SoftTargets(ClassLoss):
    """Teaches the student the teacher's class probabilities, softened by a temperature.

    Use it for any classifier: the wrong classes' probabilities tell the student which classes resemble each other,
    which a label does not. Each sample's loss is

        T^2 * KL(softmax(t / T) || softmax(s / T))        for logits t (teacher) and s (student)

    from Hinton, Vinyals & Dean 2015, arXiv 1503.02531; see `soft_targets`. It is averaged over samples and any
    positions (pixels, tokens) as Keras' own losses are.

    With `from_logits=False`, models that end in softmax are taken as they are: `softmax(log(p) / T)` is exactly the
    softened distribution, so nothing is softmaxed twice. Probabilities are clipped at `keras.config.epsilon()`.

    An output with a single column is a binary classifier: `p` (or the logit `z`) stands for the two classes
    `(p, 1 - p)` (or `(z, 0)`).

    Args:
        temperature: T > 0, a number or a schedule of the training step. 1 compares the distributions as they are; 2
            to 10 are usual.
        from_logits: as in Keras' losses, False if both models return probabilities (softmax, or sigmoid with one
            column), True if both return logits. Where the models' last activation can be read and says
            otherwise, construction of the `Distiller` fails.
        weight: factor of this loss in the total loss, a number or a schedule of the training step.
        name: name of the loss.
        teacher_from_logits: `from_logits` for the teacher alone, where it is another.
        teacher_classes: for each class of the student, its index in the teacher's output; None for the same classes.

    Raises:
        ValueError: `temperature` is not a finite number > 0, `weight` is negative, or (from the `Distiller`) the
            models' outputs do not fit.
        TypeError: `from_logits` is not a bool, or a setting is neither a number nor callable.

    Example:

    >>> import keras, numpy as np, tfopt
    >>> loss = tfopt.SoftTargets(temperature=2.0)
    >>> teacher = np.array([[0.9, 0.1]])
    >>> print(f"{float(loss(teacher, np.array([[0.5, 0.5]]))):.4f} {float(loss(teacher, teacher)):.4f}")
    0.5232 0.0000
    """

    scheduled = ("weight", "temperature")

    def __init__(
        self,
        temperature: Setting = 4.0,
        from_logits: bool = False,
        weight: Setting = 1.0,
        name: str | None = "soft_targets",
        teacher_from_logits: bool | None = None,
        teacher_classes: Sequence[int] | None = None,
    ) -> None:
        super().__init__(from_logits, weight, name, teacher_from_logits, teacher_classes)
        self.temperature = check_setting("SoftTargets", "temperature", temperature, positive=True)

    def compare_logits(self, teacher: Any, student: Any, target: Any) -> Any:
        return soft_targets(teacher, student, self.temperature)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "temperature": serialize_setting(self.temperature)}
