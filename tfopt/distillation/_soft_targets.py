"""Soft targets: the student learns the teacher's whole distribution over classes."""

import math
from typing import Any

import keras
from keras import ops

from tfopt.distillation._loss import DistillationLoss, symbolic_outputs
from tfopt.graph import final_activation

_PROBABILITIES = ("softmax", "sigmoid")
_LOGITS = ("linear", "log_softmax")


def soft_targets(teacher_logits: Any, student_logits: Any, temperature: float = 1.0) -> Any:
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
        ops.log_softmax(_float32_or_wider(logits) / temperature)
        for logits in (teacher_logits, student_logits)
    )
    probability = ops.exp(log_teacher)
    # 0 * log 0 = 0: without `where`, a class that the teacher rules out with -inf would give NaN.
    terms = ops.where(probability > 0, probability * (log_teacher - log_student), 0.0)
    return temperature**2 * ops.sum(terms, axis=-1)


def _float32_or_wider(x: Any) -> Any:
    x = ops.convert_to_tensor(x)
    return ops.cast(x, keras.backend.result_type(x.dtype, "float32"))


@keras.saving.register_keras_serializable(package="tfopt")
class SoftTargets(DistillationLoss):
    """Teaches the student the teacher's class probabilities, softened by a temperature.

    Use it for any classifier: the wrong classes' probabilities tell the student what resembles what, which a label does
    not. Each sample's loss is

        T^2 * KL(softmax(t / T) || softmax(s / T))        for logits t (teacher) and s (student)

    from Hinton, Vinyals & Dean 2015, arXiv 1503.02531; see `soft_targets`. It is averaged over samples and any
    positions (pixels, tokens) as Keras' own losses are.

    With `from_logits=False`, models that end in softmax are taken as they are: `softmax(log(p) / T)` is exactly the
    softened distribution, so nothing is softmaxed twice. Probabilities are clipped at `keras.config.epsilon()`.

    An output with a single column is a binary classifier: `p` (or the logit `z`) stands for the two classes
    `(p, 1 - p)` (or `(z, 0)`).

    Args:
        temperature: T > 0. 1 compares the distributions as they are; 2 to 10 are usual.
        from_logits: as in Keras' losses, False if both models return probabilities (softmax, or sigmoid with one
            column), True if both return logits. Where the models' last activation can be read and says
            otherwise, construction of the `Distiller` fails.
        weight: factor of this loss in the total loss.
        name: name of the loss.

    Raises:
        ValueError: `temperature` is not a finite number > 0, `weight` is negative, or (from the `Distiller`) the
            models' outputs do not fit.
        TypeError: `from_logits` is not a bool.

    Example:

    >>> import keras, numpy as np, tfopt
    >>> loss = tfopt.SoftTargets(temperature=2.0)
    >>> teacher = np.array([[0.9, 0.1]])
    >>> print(f"{float(loss(teacher, np.array([[0.5, 0.5]]))):.4f} {float(loss(teacher, teacher)):.4f}")
    0.5232 0.0000
    """

    def __init__(
        self,
        temperature: float = 4.0,
        from_logits: bool = False,
        weight: float = 1.0,
        name: str | None = "soft_targets",
    ) -> None:
        super().__init__(weight=weight, name=name)
        if not (math.isfinite(temperature) and temperature > 0):
            raise ValueError(
                f"The 'temperature' argument of SoftTargets must be a finite number > 0. Got {temperature} instead. "
                "Usual values are 2 to 10; 1 leaves the distributions as they are."
            )
        if not isinstance(from_logits, bool):
            raise TypeError(
                "The 'from_logits' argument of SoftTargets must be True (both models return logits) or False "
                f"(both return probabilities). Got {from_logits!r} instead."
            )
        self.temperature = float(temperature)
        self.from_logits = from_logits

    def call(self, teacher: Any, student: Any) -> Any:
        teacher, student = self._class_logits(teacher), self._class_logits(student)
        return soft_targets(teacher, student, self.temperature)

    def _class_logits(self, outputs: Any) -> Any:
        if len(outputs.shape) < 2:
            raise ValueError(
                f"SoftTargets expects outputs of shape (batch, ..., classes). Got {tuple(outputs.shape)} instead. "
                "A binary classifier returns (batch, 1)."
            )
        binary = outputs.shape[-1] == 1
        if self.from_logits:
            return ops.concatenate([outputs, ops.zeros_like(outputs)], axis=-1) if binary else outputs
        if binary:
            outputs = ops.concatenate([outputs, 1.0 - outputs], axis=-1)
        return ops.log(ops.clip(outputs, keras.config.epsilon(), 1.0))

    def check(self, teacher: Any, student: keras.Model) -> None:
        super().check(teacher, student)
        for role, model in (("teacher", teacher), ("student", student)):
            activation = final_activation(model) if isinstance(model, keras.Model) else None
            self._check_activation(f"{role} {getattr(model, 'name', '')!r}", activation)
            if activation == "sigmoid":
                self._check_one_column(f"{role} {model.name!r}", symbolic_outputs(model))

    def _check_activation(self, who: str, activation: str | None) -> None:
        if self.from_logits and activation in _PROBABILITIES:
            raise ValueError(
                f"SoftTargets has from_logits=True, but the {who} ends in {activation!r}, so it returns "
                f"probabilities and would be softmaxed twice. Pass from_logits=False, or remove the last "
                f"activation of both models."
            )
        if not self.from_logits and activation in _LOGITS:
            raise ValueError(
                f"SoftTargets has from_logits=False, but the {who} ends in {activation!r}, so it returns logits and "
                f"not probabilities. Pass from_logits=True, or end both models in a softmax."
            )

    def _check_one_column(self, who: str, outputs: Any) -> None:
        columns = keras.tree.flatten(outputs)[0].shape[-1]
        if columns != 1:
            raise ValueError(
                f"SoftTargets compares distributions over classes, but the {who} ends in {columns} independent "
                "'sigmoid' columns. End the models in a softmax, or give each label an output of its own with "
                "one column."
            )

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "temperature": self.temperature, "from_logits": self.from_logits}
