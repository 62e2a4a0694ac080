"""Decoupled distillation: how sure the teacher is, and what it thinks of the other classes, weighted apart."""

from collections.abc import Sequence
from typing import Any

import keras
from keras import ops

from tfopt.distillation._settings import Setting, check_setting, serialize_setting
from tfopt.distillation.losses._class_loss import ClassLoss, float32_or_wider
from tfopt.distillation.losses._soft_targets import soft_targets


def decoupled_targets(
    teacher_logits: Any,
    student_logits: Any,
    target: Any,
    alpha: Any = 1.0,
    beta: Any = 8.0,
    temperature: Any = 4.0,
) -> Any:
    """Soft targets, split into the target class against the rest and the rest among themselves.

    `T^2 * (alpha * KL(b_t || b_s) + beta * KL(q_t || q_s))`, where `b = (p, 1 - p)` for the softened probability p of
    the target class and `q` is the softened distribution over only the other classes (Zhao et al. 2022, "Decoupled
    Knowledge Distillation", arXiv 2203.08679, equation 7). With `alpha = 1` and `beta = 1 - p` of the teacher it is
    `soft_targets`.

    Args:
        teacher_logits: tensor of shape `(..., classes)`, any float dtype.
        student_logits: tensor of the same shape.
        target: integer tensor of shape `(...)`: the index of the target class.
        alpha: factor of the first part.
        beta: factor of the second part.
        temperature: T > 0.

    Returns:
        A tensor of shape `(...)`, in at least float32.

    >>> from tfopt.distillation import decoupled_targets
    >>> values = decoupled_targets([[3.0, 1.0, 0.0]], [[0.0, 1.0, 0.0]], [0], beta=1.0, temperature=1.0)
    >>> f"{float(values[0]):.4f}"  # the two other classes agree, so only the target's share counts
    '0.9130'
    """
    teacher, student = float32_or_wider(teacher_logits), float32_or_wider(student_logits)
    is_target = ops.one_hot(target, teacher.shape[-1], dtype="bool")

    def target_against_rest(logits: Any) -> Any:
        scaled = logits / temperature
        own = ops.sum(ops.where(is_target, scaled, 0.0), axis=-1)
        rest = ops.logsumexp(_without(is_target, scaled), axis=-1)
        return ops.stack([own, rest], axis=-1)

    binary = soft_targets(target_against_rest(teacher), target_against_rest(student))
    others = soft_targets(_without(is_target, teacher), _without(is_target, student), temperature)
    return temperature**2 * alpha * binary + beta * others


def _without(is_target: Any, logits: Any) -> Any:
    # A finite number and not -inf, whose difference with itself is NaN; exp of it is 0 in float32.
    return ops.where(is_target, ops.cast(-1e9, logits.dtype), logits)


@keras.saving.register_keras_serializable(package="tfopt")
class DecoupledTargets(ClassLoss):
    """Soft targets whose two parts, the target class and the others among themselves, have weights of their own.

    In `SoftTargets` the second part is multiplied by the teacher's doubt: where the teacher is sure, the student
    learns nothing about the other classes. Here it does. Each sample's loss is

        T^2 * (alpha * KL(b_t || b_s) + beta * KL(q_t || q_s))

    with `b = (p, 1 - p)` for the probability of the target class and `q` the distribution over the other classes,
    both softened by T, from Zhao et al. 2022, arXiv 2203.08679; see `decoupled_targets`. The target class is the
    label given to `fit` (a class index, or one-hot); without labels, the teacher's most likely class.

    Args:
        alpha: factor of the target part; the paper uses 1.
        beta: factor of the part over other classes; the paper uses 8 for most models, and less where the teacher's
            logits are small.
        temperature: T > 0, a number or a schedule of the training step.
        from_logits: False if both models return probabilities (their logarithm is taken), True for logits.
        weight: factor of this loss in the total loss, a number or a schedule of the training step.
        name: name of the loss.
        teacher_from_logits: `from_logits` for the teacher alone, where it is another.
        teacher_classes: for each class of the student, its index in the teacher's output; None for the same classes.

    Raises:
        ValueError: `alpha`, `beta` or `weight` is negative, `temperature` is not > 0, or (from the `Distiller`) the
            models' outputs do not fit.
        TypeError: `from_logits` is not a bool.

    Example:

    >>> import numpy as np, tfopt
    >>> loss = tfopt.distillation.DecoupledTargets(beta=1.0, temperature=1.0, from_logits=True)
    >>> teacher, student = np.array([[3.0, 1.0, 0.0]]), np.array([[0.0, 1.0, 0.0]])
    >>> print(f"{float(loss(teacher, student)):.4f}")
    0.9130
    """

    scheduled = ("weight", "alpha", "beta", "temperature")
    uses_labels = True

    def __init__(
        self,
        alpha: Setting = 1.0,
        beta: Setting = 8.0,
        temperature: Setting = 4.0,
        from_logits: bool = False,
        weight: Setting = 1.0,
        name: str | None = "decoupled_targets",
        teacher_from_logits: bool | None = None,
        teacher_classes: Sequence[int] | None = None,
    ) -> None:
        super().__init__(from_logits, weight, name, teacher_from_logits, teacher_classes)
        self.alpha = check_setting("DecoupledTargets", "alpha", alpha)
        self.beta = check_setting("DecoupledTargets", "beta", beta)
        self.temperature = check_setting("DecoupledTargets", "temperature", temperature, positive=True)

    def compare_logits(self, teacher: Any, student: Any, target: Any) -> Any:
        target = ops.argmax(teacher, axis=-1) if target is None else target
        return decoupled_targets(teacher, student, target, self.alpha, self.beta, self.temperature)

    def get_config(self) -> dict[str, Any]:
        names = ("alpha", "beta", "temperature")
        return {**super().get_config(), **{name: serialize_setting(getattr(self, name)) for name in names}}
