"""Feature matching: the student's features follow the teacher's, through a learned projection where they differ."""

from typing import Any

import keras
from keras import ops

from tfopt.distillation._settings import Setting
from tfopt.distillation.losses._class_loss import float32_or_wider
from tfopt.distillation.losses._feature_loss import FeatureLoss, Layers, match_positions, positions_fit
from tfopt.distillation.losses._loss import Shape


def feature_mse(teacher: Any, student: Any) -> Any:
    """Mean squared difference over the last axis.

    `mean over channels of (t - s)^2` (Romero et al. 2015, "FitNets: Hints for Thin Deep Nets", arXiv 1412.6550,
    equation 3, with a mean in place of half the sum, so that its size does not grow with the number of channels).

    Args:
        teacher: tensor of shape `(..., channels)`, any float dtype.
        student: tensor of the same shape.

    Returns:
        A tensor of shape `(...)`, in at least float32.

    >>> from tfopt.distillation import feature_mse
    >>> [float(value) for value in feature_mse([[1.0, 3.0], [0.0, 0.0]], [[0.0, 1.0], [0.0, 0.0]])]
    [2.5, 0.0]
    """
    return ops.mean(ops.square(float32_or_wider(teacher) - float32_or_wider(student)), axis=-1)


class Projection(keras.layers.Layer):
    """A learned linear map of the channels, in float32.

    It is not a Dense, so that pruning, which finds layers by class, does not prune it.
    """

    def __init__(self, units: Any, use_bias: bool, name: str | None = None) -> None:
        super().__init__(name=name, dtype="float32")
        self.units = units
        self.use_bias = use_bias
        self.supports_masking = True

    def build(self, input_shape: Shape) -> None:
        self.kernel = self.add_weight(name="kernel", shape=(input_shape[-1], self.units))
        self.bias = (
            self.add_weight(name="bias", shape=(self.units,), initializer="zeros") if self.use_bias else None
        )

    def call(self, inputs: Any) -> Any:
        outputs = ops.matmul(inputs, self.kernel)
        return outputs if self.bias is None else outputs + self.bias


@keras.saving.register_keras_serializable(package="tfopt")
class FeatureMatching(FeatureLoss):
    """Teaches the student features of the teacher, position by position.

    Use it early in training and with care: it asks for more than equal outputs. Each position's loss is

        mean over channels of (t - r(s))^2

    from Romero et al. 2015 (FitNets), arXiv 1412.6550; see `feature_mse`. Where the numbers of channels differ, `r` is
    a learned linear map of the channels (a 1x1 convolution): the `Distiller` trains and saves its weights with the
    student, and they are not part of `distiller.student`. Feature maps of images (channels last) may differ in height
    and width: the finer map is resized to the coarser grid.

    Args:
        layers: names of layers that both models have, or pairs `(teacher's layer, student's layer)`; see `FeatureLoss`.
            None compares the models' outputs.
        weight: factor of this loss in the total loss, a number or a schedule of the training step.
        name: name of the loss.

    Raises:
        TypeError: `layers` is not a list of names and pairs.
        ValueError: `weight` is negative or, from the `Distiller`, a layer is not found or two features cannot be
            compared.

    Example:

    >>> import keras, tfopt
    >>> def classifier(units):
    ...     layers = [keras.layers.Dense(units, "relu", name="hidden"), keras.layers.Dense(3, "softmax")]
    ...     return keras.Sequential([keras.Input((8,)), *layers])
    >>> losses = [tfopt.distillation.FeatureMatching(layers=["hidden"])]
    >>> distiller = tfopt.Distiller(classifier(4), classifier(32), losses)
    >>> len(distiller.student.trainable_variables), len(distiller.trainable_variables)
    (4, 6)
    """

    per_position = True
    use_bias = True
    needs = "as many positions (feature maps of images may differ in size) and axes"

    def __init__(
        self, layers: Layers = None, weight: Setting = 1.0, name: str | None = "feature_matching"
    ) -> None:
        super().__init__(layers=layers, weight=weight, name=name)

    def projections(self, teacher: list[Shape], student: list[Shape]) -> list[keras.Layer | None]:
        return [
            None if t[-1] == s[-1] else Projection(t[-1], use_bias=self.use_bias)
            for t, s in zip(teacher, student, strict=True)
        ]

    def fits(self, teacher: Shape, student: Shape) -> bool:
        return positions_fit(teacher, student)

    def call(self, teacher: Any, student: Any) -> Any:
        return feature_mse(*match_positions(teacher, student))


@keras.saving.register_keras_serializable(package="tfopt")
class HiddenStates(FeatureMatching):
    """Teaches a transformer the hidden states of a wider one, token by token.

    Each token's loss is

        mean over the state of (t - s W)^2

    from Jiao et al. 2020, "TinyBERT: Distilling BERT for Natural Language Understanding", arXiv 1909.10351, equations
    8 and 9; see `feature_mse`. `W` is learned where the states differ in width; the `Distiller` trains and saves it
    with the student. Tokens that a Keras mask leaves out do not count. It can be used for embeddings too.

    Args:
        layers: names of layers that both models have, or pairs `(teacher's layer, student's layer)`; see `FeatureLoss`.
            TinyBERT pairs each layer of the student with every k-th of the teacher.
        weight: factor of this loss in the total loss, a number or a schedule of the training step.
        name: name of the loss.

    Raises:
        TypeError: `layers` is not a list of names and pairs.
        ValueError: `weight` is negative or, from the `Distiller`, a layer is not found or two features cannot be
            compared.

    Example:

    >>> import numpy as np, tfopt
    >>> loss = tfopt.distillation.HiddenStates(layers=[("block_4", "block_2")])
    >>> print(float(loss(np.ones((1, 5, 8)), np.zeros((1, 5, 8)))))
    1.0
    """

    use_bias = False

    def __init__(
        self, layers: Layers = None, weight: Setting = 1.0, name: str | None = "hidden_states"
    ) -> None:
        super().__init__(layers=layers, weight=weight, name=name)
