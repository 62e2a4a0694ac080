"""DIST: the student keeps the teacher's relations between classes and between samples, not its exact probabilities."""

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
from keras import ops

from tfopt.distillation._settings import Setting, check_setting, serialize_setting
from tfopt.distillation.losses._class_loss import ClassLoss, float32_or_wider
from tfopt.distillation.losses._loss import symbolic_outputs

# Probabilities whose norm, once centred, is below this do not vary; nor do those that rounding alone keeps apart, a few
# units of their last place.
_SMALLEST_NORM, _ROUNDING = 1e-8, 16.0


def dist_relations(
    teacher_logits: Any, student_logits: Any, beta: Any = 1.0, gamma: Any = 1.0, temperature: Any = 1.0
) -> Any:
    """One minus Pearson's correlation of the softened probabilities, over classes and over samples, scaled by T^2.

    For samples `i` and classes `c` of `p = softmax(t / T)` and `q = softmax(s / T)`, with `n` samples,

        T^2 * (beta * (1 - corr_c(p_i, q_i)) + gamma * mean over c of n / 2 * (a_ic - b_ic)^2)

    where `a_c` is `p_c` over the batch, centred and of norm 1, and `b_c` likewise of `q`: the mean over samples of the
    second part is that of `1 - corr_i(p_c, q_c)` over classes. Huang et al. 2022, "Knowledge Distillation from A
    Stronger Teacher", arXiv 2205.10536, equations 8 to 10. What does not vary has no correlation, and no gradient.

    Args:
        teacher_logits: tensor of shape `(..., classes)`, any float dtype; all axes but the last count as samples.
        student_logits: tensor of the same shape.
        beta: factor of the relation between classes.
        gamma: factor of the relation between samples.
        temperature: T > 0.

    Returns:
        A tensor of shape `(...)`, in at least float32, whose mean is the paper's loss.

    >>> from tfopt.distillation import dist_relations
    >>> teacher = [[2.0, 0.0, 1.0], [0.0, 3.0, 1.0]]
    >>> [f"{float(value):.4f}" for value in dist_relations(teacher, [[1.0, 2.0, 0.0], [1.0, 0.0, 3.0]])]
    ['2.8333', '2.8333']
    """
    p, q = (
        ops.softmax(float32_or_wider(logits) / temperature) for logits in (teacher_logits, student_logits)
    )
    # Half the squared distance of two vectors of norm 1 is one minus their product, without cancellation.
    between_classes = ops.sum(ops.square(_normalized(p, -1) - _normalized(q, -1)), axis=-1) / 2.0
    rows = [_normalized(ops.reshape(x, (-1, x.shape[-1])), 0) for x in (p, q)]
    samples = ops.cast(ops.shape(rows[0])[0], p.dtype)
    between_samples = samples * ops.mean(ops.square(rows[0] - rows[1]), axis=-1) / 2.0
    between_samples = ops.reshape(between_samples, ops.shape(between_classes))
    return temperature**2 * (beta * between_classes + gamma * between_samples)


def _normalized(x: Any, axis: int) -> Any:
    """`x` centred and of norm 1 along an axis; 0 where it does not vary."""
    centered = x - ops.mean(x, axis=axis, keepdims=True)
    # The mean of many numbers is off by thousands of units of the last place, that of what is left by none.
    centered = centered - ops.mean(centered, axis=axis, keepdims=True)
    squares = ops.sum(ops.square(centered), axis=axis, keepdims=True)
    rounding = _ROUNDING * float(np.finfo(keras.backend.standardize_dtype(x.dtype)).eps)
    varies = squares > ops.maximum(
        _SMALLEST_NORM**2, rounding**2 * ops.sum(ops.square(x), axis=axis, keepdims=True)
    )
    return ops.where(varies, centered / ops.sqrt(ops.where(varies, squares, 1.0)), 0.0)


@keras.saving.register_keras_serializable(package="tfopt")
class DIST(ClassLoss):
    """Teaches the student which classes and which samples resemble each other, in the teacher's eyes.

    A strong teacher's probabilities are hard to copy exactly, and `SoftTargets` from one can hurt a small student.
    Pearson's correlation asks for their relations only: any scale and offset of a row or column is free. The loss is

        T^2 * (beta * mean over samples of (1 - corr over classes)
               + gamma * mean over classes of (1 - corr over samples))

    between the softened probabilities, from Huang et al. 2022, arXiv 2205.10536; see `dist_relations`, which divides
    it among samples. Samples are those of the batch on one device, pixels and tokens included: the larger the batch,
    the better. The paper takes `beta = gamma = 1` and `T = 1` for ImageNet, 2 and `T = 4` for CIFAR-100.

    Args:
        beta: factor of the relation between the classes of a sample.
        gamma: factor of the relation between the samples of a class.
        temperature: T > 0, a number or a schedule of the training step.
        from_logits: False if both models return probabilities (softmax), True if both return logits.
        weight: factor of this loss in the total loss, a number or a schedule of the training step.
        name: name of the loss.
        teacher_from_logits: `from_logits` for the teacher alone, where it is another.
        teacher_classes: for each class of the student, its index in the teacher's output; None for the same classes.

    Raises:
        ValueError: `beta`, `gamma` or `weight` is negative, `temperature` is not > 0, or (from the `Distiller`) the
            models' outputs do not fit, or have fewer than three classes, between which any correlation is 1 or -1.
        TypeError: `from_logits` is not a bool.

    Example:

    >>> import numpy as np, tfopt
    >>> loss = tfopt.DIST(from_logits=True)
    >>> teacher = np.array([[2.0, 0.0, 1.0], [0.0, 3.0, 1.0]])
    >>> print(f"{float(loss(teacher, teacher[:, ::-1])):.4f} {float(loss(teacher, teacher)):.4f}")
    0.5056 0.0000
    """

    scheduled = ("weight", "beta", "gamma", "temperature")

    def __init__(
        self,
        beta: Setting = 1.0,
        gamma: Setting = 1.0,
        temperature: Setting = 1.0,
        from_logits: bool = False,
        weight: Setting = 1.0,
        name: str | None = "dist",
        teacher_from_logits: bool | None = None,
        teacher_classes: Sequence[int] | None = None,
    ) -> None:
        super().__init__(from_logits, weight, name, teacher_from_logits, teacher_classes)
        self.beta = check_setting("DIST", "beta", beta)
        self.gamma = check_setting("DIST", "gamma", gamma)
        self.temperature = check_setting("DIST", "temperature", temperature, positive=True)

    def check(self, teacher: Any, student: keras.Model) -> None:
        super().check(teacher, student)
        known = [tensor for tensor in keras.tree.flatten(symbolic_outputs(student)) if tensor is not None]
        for tensor in known:
            if tensor.shape[-1] is not None and tensor.shape[-1] < 3:
                raise ValueError(
                    f"DIST compares relations between classes, but the student {student.name!r} has "
                    f"{max(2, tensor.shape[-1])} classes, between which every correlation is 1 or -1. Use SoftTargets."
                )

    def compare_logits(self, teacher: Any, student: Any, target: Any) -> Any:
        return dist_relations(teacher, student, self.beta, self.gamma, self.temperature)

    def get_config(self) -> dict[str, Any]:
        names = ("beta", "gamma", "temperature")
        return {**super().get_config(), **{name: serialize_setting(getattr(self, name)) for name in names}}
