"""What rows are made of: operations between kernels, and layers of the users."""

from collections.abc import Callable

import keras
import numpy as np
from keras import layers


def binary(layer: keras.layers.Layer) -> Callable:
    return lambda x: layer([layers.Dense(4)(x), layers.Dense(4)(x)])


def after_dense(function: Callable) -> Callable:
    """The operation between two kernels with weights, where most stand."""
    return lambda x: function(layers.Dense(4)(x))


def of_positive(function: Callable) -> Callable:
    """The operation on numbers of at least 0.5."""
    return lambda x: function(layers.ReLU()(x) + 0.5)


def activation(name: str) -> tuple[Callable, tuple[int, ...]]:
    return after_dense(layers.Activation(name)), (6,)


@keras.saving.register_keras_serializable(package="tests")
class LayerScale(layers.Layer):
    """As in ConvNeXt."""

    def build(self, shape):
        self.gamma = self.add_weight(shape=(shape[-1],), name="gamma")

    def call(self, x):
        return x * self.gamma


@keras.saving.register_keras_serializable(package="tests")
class DropPath(layers.Layer):
    """Acts in training alone."""

    def call(self, x, training=None):
        return keras.random.dropout(x, 0.5) if training else x


# What a product or a convolution of `keras.ops` is given.
KERNEL = np.random.default_rng(3).normal(size=(3, 3, 4, 2)).astype("float32")
