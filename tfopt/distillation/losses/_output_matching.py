"""Output matching: the student's outputs are to be the teacher's, as they are."""

from typing import Any

import keras
from keras import ops

from tfopt.distillation._settings import Setting
from tfopt.distillation.losses._class_loss import float32_or_wider
from tfopt.distillation.losses._loss import DistillationLoss


@keras.saving.register_keras_serializable(package="tfopt")
class OutputMatching(DistillationLoss):
    """Teaches the student the teacher's values: regression, boxes, depth, heat maps, embeddings.

    Each sample's (and position's) loss is that of Keras with the teacher's outputs in place of the labels, by default

        mean over the last axis of (t - s)^2

    (Ba & Caruana 2014, arXiv 1312.6184, for logits; an offset counts here, other than in `LogitMSE`). Where a teacher
    may be further off than the student, `BoundedRegression` copies it with caution.

    Args:
        loss: a loss of Keras by name, such as `"mse"`, `"mae"`, `"huber"` or `"cosine_similarity"`; a function
            `(teacher, student) -> loss per position`; or a `keras.losses.Loss` such as `Huber(delta=0.1)`, of which the
            formula alone is used.
        weight: factor of this loss in the total loss, a number or a schedule of the training step.
        name: name of the loss.

    Raises:
        ValueError: `loss` is not a loss that Keras knows, `weight` is negative, or (from the `Distiller`) the models'
            outputs differ in shape.

    Example:

    >>> import numpy as np, tfopt
    >>> teacher, student = np.array([[1.0, 2.0]]), np.array([[2.0, 3.0]])
    >>> float(tfopt.OutputMatching()(teacher, student)), float(tfopt.OutputMatching("huber")(teacher, student))
    (1.0, 0.5)
    """

    per_position = True
    output_kind = "values"

    def __init__(
        self, loss: Any = "mse", weight: Setting = 1.0, name: str | None = "output_matching"
    ) -> None:
        super().__init__(weight=weight, name=name)
        try:
            self.loss = keras.losses.get(loss)
        except ValueError:
            self.loss = None
        if self.loss is None:
            raise ValueError(
                "The 'loss' argument of OutputMatching must be a loss that Keras knows, or a function of teacher and "
                f"student. Got {loss!r} instead. For the mean squared error pass 'mse'."
            )

    def call(self, teacher: Any, student: Any) -> Any:
        teacher, student = float32_or_wider(teacher), float32_or_wider(student)
        if len(student.shape) < 2:  # one number for each sample, without an axis of its own
            teacher, student = (ops.expand_dims(x, -1) for x in (teacher, student))
        formula = self.loss.call if isinstance(self.loss, keras.losses.Loss) else self.loss
        return formula(teacher, student)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "loss": keras.losses.serialize(self.loss)}
