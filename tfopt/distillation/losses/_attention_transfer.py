"""Attention transfer: the student looks where the teacher looks."""

from typing import Any

import keras
from keras import ops

from tfopt.distillation._settings import Setting
from tfopt.distillation.losses._class_loss import float32_or_wider
from tfopt.distillation.losses._feature_loss import FeatureLoss, Layers, match_positions, positions_fit
from tfopt.distillation.losses._loss import Shape


def spatial_attention(features: Any) -> Any:
    """Where a layer is active: the mean over channels of the squared activations, scaled to length 1 per sample.

    Args:
        features: tensor of shape `(batch, ..., channels)`.

    Returns:
        A tensor of shape `(batch, positions)`, in at least float32.
    """
    energy = ops.mean(ops.square(float32_or_wider(features)), axis=-1)
    energy = ops.reshape(energy, (ops.shape(energy)[0], -1))
    # A lower bound of the squared length, so that a map of zeros gets gradient 0 and not NaN.
    squared_length = ops.sum(ops.square(energy), axis=-1, keepdims=True)
    return energy * ops.rsqrt(ops.maximum(squared_length, 1e-24))


def attention_transfer(teacher: Any, student: Any) -> Any:
    """Squared distance between the spatial attention of two feature maps.

    `sum over positions of (a(t) - a(s))^2` with `a(x) = v / |v|`, `v = mean over channels of x^2` (Zagoruyko &
    Komodakis 2017, "Paying More Attention to Attention", arXiv 1612.03928, equation 2, p = 2, with the squared norm as
    in the authors' code). It sees neither the number of channels nor the scale of either map.

    Args:
        teacher: tensor of shape `(batch, ..., channels)`, any float dtype.
        student: tensor with as many positions; its channels may differ.

    Returns:
        A tensor of shape `(batch,)`: between 0 and 2, because attention is never negative.

    >>> import numpy as np
    >>> from tfopt.distillation import attention_transfer
    >>> teacher, student = np.array([[[2.0], [0.0]]]), np.array([[[0.0, 0.0], [1.0, 3.0]]])
    >>> float(attention_transfer(teacher, student)[0]), float(attention_transfer(teacher, 5 * teacher)[0])
    (2.0, 0.0)
    """
    return ops.sum(ops.square(spatial_attention(teacher) - spatial_attention(student)), axis=-1)


@keras.saving.register_keras_serializable(package="tfopt")
class AttentionTransfer(FeatureLoss):
    """Teaches the student where in the image the teacher is active, and not with which channels.

    Use it between convolutional networks of any widths; it needs no projection. Each sample's loss is

        sum over positions of (v_t / |v_t| - v_s / |v_s|)^2        with v = mean over channels of x^2

    from Zagoruyko & Komodakis 2017, arXiv 1612.03928; see `attention_transfer`. Feature maps (channels last) may differ
    in height and width: the finer one is resized to the coarser grid.

    Args:
        layers: names of layers that both models have, or pairs `(teacher's layer, student's layer)`; see `FeatureLoss`.
            The ends of the stages of a ResNet are usual.
        weight: factor of this loss in the total loss, a number or a schedule of the training step.
        name: name of the loss.

    Raises:
        TypeError: `layers` is not a list of names and pairs.
        ValueError: `weight` is negative or, from the `Distiller`, a layer is not found or two features cannot be
            compared.

    Example:

    >>> import numpy as np, tfopt
    >>> loss = tfopt.distillation.AttentionTransfer(layers=["stage_2"])
    >>> teacher, student = np.eye(4).reshape(2, 2, 2, 2), np.ones((2, 2, 2, 7))
    >>> print(f"{float(loss(teacher, student)):.4f}")
    0.5858
    """

    needs = "as many positions (feature maps of images may differ in size) and axes, three at least"

    def __init__(
        self, layers: Layers = None, weight: Setting = 1.0, name: str | None = "attention_transfer"
    ) -> None:
        super().__init__(layers=layers, weight=weight, name=name)

    def fits(self, teacher: Shape, student: Shape) -> bool:
        return len(teacher) >= 3 and positions_fit(teacher, student)

    def call(self, teacher: Any, student: Any) -> Any:
        return attention_transfer(*match_positions(teacher, student))
