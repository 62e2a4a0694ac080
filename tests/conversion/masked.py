"""Masks that Keras hangs on tensors: a row for each way in which one reaches the layer that reads it."""

from collections.abc import Callable
from typing import Any

import keras
from keras import layers, ops


@keras.saving.register_keras_serializable(package="tests")
class Wrapped(layers.Layer):
    """A custom layer whose inner layer finds the mask on the tensor."""

    def __init__(self, inner: layers.Layer, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.inner = inner
        self.supports_masking = True

    def build(self, shape):
        self.inner.build(shape)

    def call(self, x):
        return self.inner(x)


def words(x: Any) -> Any:
    """Embedded words, the first of which is padding."""
    table = keras.initializers.RandomNormal(stddev=1.0)
    return layers.Embedding(6, 4, mask_zero=True, embeddings_initializer=table)(ops.argmax(x, -1))


def _nested(x: Any) -> Any:
    inputs = keras.Input((5, 4))
    inner = keras.Model(inputs, layers.GRU(3)(layers.Dense(4)(inputs)))
    inner.supports_masking = True  # else Keras warns, and hands the mask to the inner layers all the same
    return inner(words(x))


def _residual(x: Any) -> Any:
    x = words(x)
    # At run time attention takes the masks off its inputs, so that one step of the two sees none.
    x = layers.Add()([x, layers.MultiHeadAttention(2, 3)(x, x)])
    return layers.Concatenate()([layers.GRU(2)(x), Wrapped(layers.GRU(2))(x)])


def _with_itself(layer: layers.Layer, **kwargs: Any) -> Callable[[Any], Any]:
    def apply(x: Any) -> Any:
        x = words(x)
        return layer([x, x], **kwargs) if isinstance(layer, layers.Attention) else layer(x, x, **kwargs)

    return apply


def _merged(layer: type[layers.Layer]) -> Callable[[Any], Any]:
    def apply(x: Any) -> Any:
        one, other = words(x), words(ops.flip(x, 1))
        return layer()([layer()([one, other]), layers.Dense(4)(x)])

    return apply


# Of which a step is a recurrent layer's.
MASKED_RECURRENT: dict[str, tuple[Callable, tuple[int, ...]]] = {
    "GRU, masked, in a custom layer": (lambda x: Wrapped(layers.GRU(3))(words(x)), (5, 6)),
    "GRU, masked, in a nested model": (_nested, (5, 6)),
    "GRU, masked, behind attention": (_residual, (5, 6)),
    "GRU, masked, behind TimeDistributed": (
        lambda x: layers.GRU(3)(layers.TimeDistributed(layers.Dense(3))(words(x))),
        (5, 6),
    ),
}

MASKED: dict[str, tuple[Callable, tuple[int, ...]]] = {
    "GlobalAveragePooling1D, masked": (lambda x: layers.GlobalAveragePooling1D()(words(x)), (5, 6)),
    "Attention, masked": (_with_itself(layers.Attention()), (5, 6)),
    "Attention, masked and causal": (_with_itself(layers.Attention(), use_causal_mask=True), (5, 6)),
    "Attention, masked, with a scale": (_with_itself(layers.Attention(use_scale=True)), (5, 6)),
    "MultiHeadAttention, masked": (_with_itself(layers.MultiHeadAttention(2, 3)), (5, 6)),
    "MultiHeadAttention, masked and causal": (
        _with_itself(layers.MultiHeadAttention(2, 3), use_causal_mask=True),
        (5, 6),
    ),
    "Multiply, masked": (_merged(layers.Multiply), (5, 6)),
    "Maximum, masked": (_merged(layers.Maximum), (5, 6)),
    "Masking of another number": (lambda x: layers.Masking(0.5)(ops.clip(x, 0.5, 1.0)), (4, 1)),
}
