"""What the losses over classes share: probabilities or logits, one column or many, and the checks of these."""

from typing import Any

import keras
from keras import ops

from tfopt.distillation._settings import Setting
from tfopt.distillation.losses._loss import DistillationLoss, symbolic_outputs
from tfopt.graph import final_activation

_PROBABILITIES = ("softmax", "sigmoid")
_LOGITS = ("linear", "log_softmax")


def float32_or_wider(x: Any) -> Any:
    """The tensor in at least float32."""
    x = ops.convert_to_tensor(x)
    return ops.cast(x, keras.backend.result_type(x.dtype, "float32"))


def _last_activation(model: Any) -> str | None:
    if isinstance(model, keras.Model):
        return final_activation(model)
    if isinstance(model, (list, tuple)):
        return _last_activation(model[0])
    return getattr(model, "final_activation", None)


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

    Raises:
        ValueError: `weight` is negative, or (from the `Distiller`) the models' outputs do not fit.
        TypeError: `from_logits` is not a bool.

    Example:

    >>> import keras, numpy as np
    >>> from tfopt.distillation import ClassLoss
    >>> class Distance(ClassLoss):
    ...     def compare_logits(self, teacher, student, target):
    ...         return keras.ops.max(keras.ops.abs(teacher - student), axis=-1)
    >>> print(float(Distance(from_logits=True)(np.array([[1.0, 3.0]]), np.array([[0.0, 1.0]]))))
    2.0
    """

    def __init__(self, from_logits: bool = False, weight: Setting = 1.0, name: str | None = None) -> None:
        super().__init__(weight=weight, name=name)
        if not isinstance(from_logits, bool):
            raise TypeError(
                f"The 'from_logits' argument of {type(self).__name__} must be True (both models return logits) or "
                f"False (both return probabilities). Got {from_logits!r} instead."
            )
        self.from_logits = from_logits

    def call(self, teacher: Any, student: Any) -> Any:
        labels = None
        if isinstance(teacher, (tuple, list)):
            teacher, labels = teacher
        target = None if labels is None else class_indices(labels, teacher)
        teacher, student = self._class_logits(teacher), self._class_logits(student)
        return self.compare_logits(teacher, student, target)

    def compare_logits(self, teacher: Any, student: Any, target: Any) -> Any:
        """The loss per sample or position, from logits of shape `(batch, ..., classes)`.

        `target` holds the class indices of the labels if `uses_labels` is set and there are labels, else None.
        """
        raise NotImplementedError(f"{type(self).__name__} must implement compare_logits.")

    def _class_logits(self, outputs: Any) -> Any:
        if len(outputs.shape) < 2:
            raise ValueError(
                f"{type(self).__name__} expects outputs of shape (batch, ..., classes). Got {tuple(outputs.shape)} "
                "instead. A binary classifier returns (batch, 1)."
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
            activation = _last_activation(model)
            self._check_activation(f"{role} {getattr(model, 'name', '')!r}", activation)
            if activation == "sigmoid":
                self._check_one_column(f"{role} {getattr(model, 'name', '')!r}", symbolic_outputs(model))

    def _check_activation(self, who: str, activation: str | None) -> None:
        name = type(self).__name__
        if self.from_logits and activation in _PROBABILITIES:
            raise ValueError(
                f"{name} has from_logits=True, but the {who} ends in {activation!r}, so it returns "
                f"probabilities and would be softmaxed twice. Pass from_logits=False, or remove the last "
                f"activation of both models."
            )
        if not self.from_logits and activation in _LOGITS:
            raise ValueError(
                f"{name} has from_logits=False, but the {who} ends in {activation!r}, so it returns logits and "
                f"not probabilities. Pass from_logits=True, or end both models in a softmax."
            )

    def _check_one_column(self, who: str, outputs: Any) -> None:
        columns = keras.tree.flatten(outputs)[0].shape[-1]
        if columns != 1:
            raise ValueError(
                f"{type(self).__name__} compares distributions over classes, but the {who} ends in {columns} "
                "independent 'sigmoid' columns. End the models in a softmax, or give each label an output of its own "
                "with one column."
            )

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "from_logits": self.from_logits}
