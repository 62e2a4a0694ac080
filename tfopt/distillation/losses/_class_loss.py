"""What the losses over classes share: probabilities or logits, one column or many, whose classes are which."""

import operator
from collections.abc import Sequence
from typing import Any

import keras
from keras import ops

from tfopt.distillation._settings import Setting
from tfopt.distillation.losses._class_checks import check_activations, check_columns
from tfopt.distillation.losses._loss import DistillationLoss, Shape, same_sizes


def float32_or_wider(x: Any) -> Any:
    """The tensor in at least float32."""
    x = ops.convert_to_tensor(x)
    return ops.cast(x, keras.backend.result_type(x.dtype, "float32"))


def class_indices(labels: Any, outputs: Any) -> Any:
    """Class indices of labels that are indices, one-hot rows, or 0 and 1 for an output with a single column."""
    if outputs.shape[-1] == 1:
        # The two classes are (p, 1 - p): label 1 is the first of them.
        return ops.reshape(ops.where(labels > 0.5, 0, 1), ops.shape(outputs)[:-1])
    if len(labels.shape) == len(outputs.shape):
        one_hot = labels.shape[-1] == outputs.shape[-1]
        labels = ops.argmax(labels, axis=-1) if one_hot else ops.squeeze(labels, axis=-1)
    return ops.cast(labels, "int32")


class ClassLoss(DistillationLoss):
    """Base of losses that compare distributions over classes.

    A subclass implements `compare_logits(teacher, student, labels)`. Models that end in softmax need no change: with
    `from_logits=False` the loss takes the logarithm of their probabilities, clipped at `keras.config.epsilon()`.
    These are logits up to a constant per sample, which does not change any of these losses. An output with a single
    column is a binary classifier: `p` (or the logit `z`) stands for the two classes `(p, 1 - p)` (or `(z, 0)`).

    Args:
        from_logits: as in Keras' losses, False if both models return probabilities (softmax, or sigmoid with one
            column), True if both return logits. Where the models' last activation can be read and says
            otherwise, construction of the `Distiller` fails.
        weight: factor of this loss in the total loss, a number or a schedule.
        name: name of the loss.
        teacher_from_logits: the same for the teacher alone, where it is another; None for `from_logits`.
        teacher_classes: for each class of the student, the index of that class in the teacher's output, where the
            teacher has other labels or another order of them; None for the same classes.

    Raises:
        ValueError: `weight` is negative, a class is negative, or (from the `Distiller`) the models' outputs do not fit.
        TypeError: `from_logits` or `teacher_from_logits` is not a bool, or `teacher_classes` holds no whole numbers.

    Example:

    >>> import keras, numpy as np
    >>> from tfopt.distillation import ClassLoss
    >>> class Distance(ClassLoss):
    ...     def compare_logits(self, teacher, student, target):
    ...         return keras.ops.max(keras.ops.abs(teacher - student), axis=-1)
    >>> print(float(Distance(from_logits=True)(np.array([[1.0, 3.0]]), np.array([[0.0, 1.0]]))))
    2.0
    >>> swapped = Distance(from_logits=True, teacher_classes=[1, 0])
    >>> print(float(swapped(np.array([[1.0, 3.0]]), np.array([[3.0, 1.0]]))))
    0.0
    """

    per_position = True
    output_kind = "classes"
    way_out = (
        "Give both models the same heads, or say in teacher_classes which of the teacher's classes each class of the "
        "student is."
    )

    def __init__(
        self,
        from_logits: bool = False,
        weight: Setting = 1.0,
        name: str | None = None,
        teacher_from_logits: bool | None = None,
        teacher_classes: Sequence[int] | None = None,
    ) -> None:
        super().__init__(weight=weight, name=name)
        owner = type(self).__name__
        if not isinstance(from_logits, bool):
            raise TypeError(
                f"The 'from_logits' argument of {owner} must be True (both models return logits) or "
                f"False (both return probabilities). Got {from_logits!r} instead."
            )
        if not isinstance(teacher_from_logits, bool | None):
            raise TypeError(
                f"The 'teacher_from_logits' argument of {owner} must be True (the teacher returns logits), False "
                f"(probabilities) or None (as from_logits says). Got {teacher_from_logits!r} instead."
            )
        self.from_logits = from_logits
        self.teacher_from_logits = teacher_from_logits
        self.teacher_classes = check_classes(owner, teacher_classes)

    def call(self, teacher: Any, student: Any) -> Any:
        labels = None
        if isinstance(teacher, (tuple, list)):
            teacher, labels = teacher
        if self.teacher_classes is not None:
            teacher = ops.take(teacher, self.teacher_classes, axis=-1)
        target = None if labels is None else self.target(labels, student)
        teacher = self.logits(teacher, self.has_logits("teacher"))
        return self.compare_logits(teacher, self.logits(student, self.from_logits), target)

    def compare_logits(self, teacher: Any, student: Any, target: Any) -> Any:
        """The loss per sample or position, from logits of shape `(batch, ..., classes)`.

        `target` holds the class indices of the labels if `uses_labels` is set and there are labels, else None.
        """
        raise NotImplementedError(f"{type(self).__name__} must implement compare_logits.")

    def target(self, labels: Any, outputs: Any) -> Any:
        """What `compare_logits` gets of the labels: class indices."""
        return class_indices(labels, outputs)

    def has_logits(self, role: str) -> bool:
        """Whether the model of that role, `"teacher"` or `"student"`, returns logits."""
        own = self.teacher_from_logits if role == "teacher" else None
        return self.from_logits if own is None else own

    def logits(self, outputs: Any, are_logits: bool) -> Any:
        """One model's outputs as logits of two classes or more."""
        if len(outputs.shape) < 2:
            raise ValueError(
                f"{type(self).__name__} expects outputs of shape (batch, ..., classes). Got {tuple(outputs.shape)} "
                "instead. A binary classifier returns (batch, 1)."
            )
        binary = outputs.shape[-1] == 1
        if are_logits:
            return ops.concatenate([outputs, ops.zeros_like(outputs)], axis=-1) if binary else outputs
        if binary:
            outputs = ops.concatenate([outputs, 1.0 - outputs], axis=-1)
        return ops.log(ops.clip(outputs, keras.config.epsilon(), 1.0))

    def check(self, teacher: Any, student: keras.Model) -> None:
        super().check(teacher, student)
        check_activations(self, teacher, student)
        check_columns(self, teacher, student)

    def fits(self, teacher: Shape, student: Shape) -> bool:
        if self.teacher_classes is None:
            return super().fits(teacher, student)
        known = teacher[-1] is None or max(self.teacher_classes) < teacher[-1]
        return known and same_sizes((*teacher[:-1], len(self.teacher_classes)), student)

    def get_config(self) -> dict[str, Any]:
        names = ("from_logits", "teacher_from_logits", "teacher_classes")
        return {**super().get_config(), **{name: getattr(self, name) for name in names}}


def check_classes(owner: str, classes: Any) -> list[int] | None:
    """The teacher's classes as a list of ints.

    Raises:
        TypeError: they are not whole numbers.
        ValueError: there are none, or one is negative.

    >>> from tfopt.distillation.losses._class_loss import check_classes
    >>> check_classes("SoftTargets", (2, 0))
    [2, 0]
    """
    if classes is None:
        return None
    expected = (
        f"The 'teacher_classes' argument of {owner} must list an index >= 0 for each class of the student. "
    )
    try:
        found = [operator.index(one) for one in classes]
    except TypeError:
        raise TypeError(f"{expected}Got {classes!r} instead.") from None
    if not found or min(found) < 0:
        raise ValueError(f"{expected}Got {found} instead.")
    return found
