"""Losses written for `keras.distillation`, used unchanged."""

from typing import Any

import keras

from tfopt._replicas import replicas
from tfopt.distillation._settings import Setting
from tfopt.distillation.losses._loss import DistillationLoss


@keras.saving.register_keras_serializable(package="tfopt")
class KerasDistillationLoss(DistillationLoss):
    """A loss written for `keras.distillation`, in a `tfopt.Distiller`.

    The `Distiller` wraps such losses by itself; do it by hand to give one a weight. The formula is that of the wrapped
    loss: its `compute_loss(teacher, student)` for a whole batch. Since it is one number for the batch, there is nothing
    that a sample weight could multiply, and `fit` with sample weights is refused. Its `validate_outputs` is called,
    and layers named by a `FeatureDistillation` may be inside nested, subclassed and quantized models.

    Args:
        loss: a `keras.distillation.DistillationLoss`.
        weight: factor of this loss in the total loss, a number or a schedule of the training step.
        name: name of the loss.

    Raises:
        TypeError: `loss` is of another kind.
        ValueError: `weight` is negative or, in `fit`, sample weights are given.

    Example:

    >>> import keras, numpy as np
    >>> from tfopt.distillation import KerasDistillationLoss
    >>> loss = KerasDistillationLoss(keras.distillation.LogitsDistillation(temperature=2.0), weight=0.5)
    >>> loss.weight, float(loss.compare(np.ones((1, 3)), np.ones((1, 3))))
    (0.5, 0.0)
    """

    def __init__(self, loss: Any, weight: Setting = 1.0, name: str | None = None) -> None:
        super().__init__(weight=weight, name=name)
        if not isinstance(loss, keras.distillation.DistillationLoss):
            raise TypeError(
                "The 'loss' argument of KerasDistillationLoss must be a keras.distillation.DistillationLoss. "
                f"Got {loss!r} instead."
            )
        self.loss = loss

    def features(self) -> tuple[tuple[str, ...], tuple[str, ...]]:
        # Keras' own Distiller reads these two attributes.
        teacher, student = (getattr(self.loss, f"{role}_layer_name", None) for role in ("teacher", "student"))
        if teacher and student:
            return (teacher,), (student,)
        if teacher or student:
            raise ValueError(
                f"{type(self.loss).__name__} names a layer of one model only: {teacher or student!r}. Name a layer of "
                "both models, or of neither to compare their outputs."
            )
        return (), ()

    def check(self, teacher: Any, student: keras.Model) -> None:
        own = type(self.loss).validate_model_compatibility
        stock = keras.distillation.FeatureDistillation.validate_model_compatibility
        # Keras' check of layer names does not find layers in nested or subclassed models; the Distiller's own check
        # does.
        if isinstance(teacher, keras.Model) and own is not stock:
            self.loss.validate_model_compatibility(teacher, student)

    def compare(self, teacher: Any, student: Any, sample_weight: Any = None, labels: Any = None) -> Any:
        if any(weight is not None for weight in keras.tree.flatten(sample_weight)):
            raise ValueError(
                f"{type(self.loss).__name__} returns one number for the batch, which sample weights and class weights "
                "cannot be applied to. Use a tfopt loss, such as SoftTargets, or fit without weights."
            )
        if self.features()[0]:
            (teacher,), (student,) = teacher, student
        teacher, student = (
            keras.tree.map_structure(lambda x: keras.ops.cast(x, "float32"), side)
            for side in (teacher, student)
        )
        self.loss.validate_outputs(teacher, student)
        loss = self.loss.compute_loss(teacher, student)
        # A keras.losses.Loss inside it has already taken its share of a batch that several devices split.
        inner = keras.tree.flatten(getattr(self.loss, "loss", None))
        return loss if any(isinstance(one, keras.losses.Loss) for one in inner) else loss / replicas()

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "loss": keras.saving.serialize_keras_object(self.loss)}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> "DistillationLoss":
        return super().from_config({**config, "loss": keras.saving.deserialize_keras_object(config["loss"])})


# Which losses are wrapped, and by what.
_ADAPTERS = ((keras.distillation.DistillationLoss, KerasDistillationLoss),)


def as_distillation_loss(loss: Any) -> Any:
    """The loss itself, or a wrapper around a loss of another library."""
    for kind, adapter in _ADAPTERS:
        if isinstance(loss, kind):
            return adapter(loss)
    return loss
