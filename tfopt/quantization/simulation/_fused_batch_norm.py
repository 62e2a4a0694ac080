"""Batch norm with TensorFlow's fused kernel, which Keras does not use in training."""

import functools
from typing import Any

import keras
from keras import ops

from tfopt._float32 import HALF_FLOATS, float32
from tfopt.graph import fold_factor
from tfopt.kernels import once
from tfopt.quantization.simulation._step_counter import Timed


@keras.saving.register_keras_serializable(package="tfopt")
class FusedBatchNormalization(Timed, keras.layers.BatchNormalization):
    """`keras.layers.BatchNormalization`, faster in training on the TensorFlow backend.

    `quantize` puts it in place of the stock layer. It computes the same outputs, gradients and moving statistics
    (Ioffe & Szegedy 2015, arXiv 1502.03167): TensorFlow's kernel returns the sample variance, with n - 1 in the
    denominator, of which `(n - 1) / n` is the variance that Keras averages. Under a `tf.distribute` strategy the
    statistics move by the mean of those of all replicas, so that all predict alike. Where the kernel does not apply
    (other backends, masks, frozen layers, inputs that are not (batch, height, width, channels)) the stock code runs.

    Args:
        *args: as for `keras.layers.BatchNormalization`.
        **kwargs: as for `keras.layers.BatchNormalization`.

    Raises:
        ValueError: as for `keras.layers.BatchNormalization`.

    Example:

    >>> import numpy as np
    >>> from tfopt.quantization import FusedBatchNormalization
    >>> norm = FusedBatchNormalization()
    >>> np.round(norm(np.arange(4.0, dtype="float32").reshape(1, 2, 2, 1), training=True), 2).ravel().tolist()
    [-1.34..., -0.44..., 0.44..., 1.34...]
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)

    def add_weight(self, *args: Any, trainable: bool = True, **kwargs: Any) -> keras.Variable:
        # Keras leaves each replica its own statistics, and the grids of kernels depend on them.
        reduced = {} if trainable else {"aggregation": "mean"}
        return super().add_weight(*args, trainable=trainable, **reduced, **kwargs)

    # why wraps: an operation is known by its `call`, and this one computes what the stock one computes.
    @functools.wraps(keras.layers.BatchNormalization.call)
    def call(self, inputs: Any, training: bool | None = None, mask: Any = None) -> Any:
        frozen = self._is_frozen()
        if training and frozen is not False:
            return self._call_unless(frozen, inputs, mask)
        if self._is_affine(inputs, training):
            factor, offset = self.affine()
            return inputs * factor + offset
        if not self._fuses(inputs, training, mask):
            return super().call(inputs, training=training, mask=mask)
        outputs, mean, variance = self._fused(inputs)
        self._average(mean, variance)
        return outputs

    def reads_batch(self) -> bool:
        """Whether all training steps normalize by the mean of the batch."""
        return self.trainable and self._is_frozen() is False

    def _is_frozen(self) -> Any:
        """Whether statistics stand still in this step: a bool, or a bool tensor if they ever freeze."""
        return self.counter.batch_norms_are_frozen() if self.counter is not None else False

    @once
    def affine(self) -> tuple[Any, Any]:
        """What inference multiplies each channel with, and what it adds: float32 (channels,)."""
        factor = fold_factor(self)
        offset = -float32(self.moving_mean) * factor
        return factor, offset + float32(self.beta) if self.center else offset

    def compute_grids(self) -> None:
        """Computes what a call in inference reads that depends on weights alone."""
        self.affine()

    def _is_affine(self, inputs: Any, training: bool | None) -> bool:
        """Whether a call is a multiplication and an addition along the last axis, in float32."""
        is_last = self.axis in (-1, len(inputs.shape) - 1)
        is_float32 = keras.backend.standardize_dtype(inputs.dtype) == self.compute_dtype == "float32"
        return not training and is_last and is_float32 and not isinstance(inputs, keras.KerasTensor)

    def _call_unless(self, frozen: Any, inputs: Any, mask: Any) -> Any:
        """A training step; one in inference mode, which leaves the statistics as they are, if `frozen`."""
        stock = super().call
        # Copies: what `convert_to_tensor` returns on TensorFlow is the variable itself.
        old = [ops.copy(moving) for moving in (self.moving_mean, self.moving_variance)]
        if self._fuses(inputs, True, mask):
            outputs, mean, variance = ops.cond(
                frozen, lambda: (stock(inputs, training=False), *old), lambda: self._fused(inputs)
            )
            self._average(mean, variance)
        else:
            # What the stock layer computes cannot be put under a condition, for it assigns its statistics.
            still = stock(inputs, training=False, mask=mask)
            outputs = ops.where(frozen, still, stock(inputs, training=True, mask=mask))
        for moving, value in zip((self.moving_mean, self.moving_variance), old, strict=True):
            moving.assign(ops.where(frozen, value, ops.convert_to_tensor(moving)))
        return outputs

    def _fused(self, inputs: Any) -> tuple[Any, Any, Any]:
        """The outputs, and the mean and variance of the batch."""
        import tensorflow as tf

        channels = inputs.shape[-1]
        gamma = tf.cast(self.gamma, "float32") if self.scale else tf.ones([channels])
        beta = tf.cast(self.beta, "float32") if self.center else tf.zeros([channels])
        # why compat.v1: TensorFlow 2 has no public name for the kernel.
        outputs, mean, variance = tf.compat.v1.nn.fused_batch_norm(
            inputs, gamma, beta, epsilon=self.epsilon, is_training=True
        )
        count = tf.cast(tf.size(inputs) // channels, "float32")
        return outputs, tf.stop_gradient(mean), tf.stop_gradient(variance) * (count - 1.0) / count

    def _average(self, mean: Any, variance: Any) -> None:
        for moving, batch in ((self.moving_mean, mean), (self.moving_variance, variance)):
            moving.assign(moving * self.momentum + batch * (1.0 - self.momentum))

    def _fuses(self, inputs: Any, training: bool | None, mask: Any) -> bool:
        return (
            keras.backend.backend() == "tensorflow"
            and bool(training)
            and self.trainable
            and mask is None
            and not self.synchronized
            and not getattr(self, "renorm", False)  # since Keras 3.14
            and not isinstance(inputs, keras.KerasTensor)
            and len(inputs.shape) == 4
            and self.axis in (-1, 3)
            and keras.backend.standardize_dtype(inputs.dtype) in (*HALF_FLOATS, "float32")
        )
