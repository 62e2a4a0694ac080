"""Tiny models of every form that people build: each is quantized, trained, saved, exported and verified whole."""

from collections.abc import Callable

import keras
import numpy as np
from keras import layers, ops


@keras.saving.register_keras_serializable(package="tests")
class PatchEncoder(layers.Layer):
    """Projected patches plus a learned position for each, as in the vision transformers of keras.io."""

    def __init__(self, patches: int, width: int, **kwargs) -> None:
        super().__init__(**kwargs)
        self.patches = patches
        self.width = width
        self.projection = layers.Dense(width)
        self.positions = layers.Embedding(patches, width)

    def call(self, x):
        return self.projection(x) + self.positions(ops.arange(self.patches))

    def get_config(self):
        return {**super().get_config(), "patches": self.patches, "width": self.width}


def transformer_block(x, width: int):
    y = layers.LayerNormalization()(x)
    x = layers.Add()([x, layers.MultiHeadAttention(2, width // 2)(y, y)])
    y = layers.Dense(2 * width, activation="gelu")(layers.LayerNormalization()(x))
    return layers.Add()([x, layers.Dense(width)(y)])


def vision_transformer() -> keras.Model:
    inputs = keras.Input((8, 8, 3))
    patches = layers.Reshape((16, 12))(layers.Conv2D(12, 2, strides=2)(inputs))
    x = PatchEncoder(16, 8)(patches)
    for _ in range(2):
        x = transformer_block(x, 8)
    x = layers.GlobalAveragePooling1D()(layers.LayerNormalization()(x))
    return keras.Model(inputs, layers.Dense(4)(x))


def u_net() -> keras.Model:
    inputs = keras.Input((16, 16, 2))
    skips, x = [], inputs
    for filters in (4, 8):
        x = layers.Conv2D(filters, 3, padding="same", use_bias=False)(x)
        x = layers.ReLU()(layers.BatchNormalization()(x))
        skips.append(x)
        x = layers.MaxPooling2D()(x)
    x = layers.Conv2D(8, 3, padding="same", activation="relu")(x)
    for filters, skip in zip((8, 4), reversed(skips), strict=True):
        x = layers.Conv2DTranspose(filters, 2, strides=2, padding="same")(x)
        x = layers.Conv2D(filters, 3, padding="same", activation="relu")(layers.Concatenate()([x, skip]))
    return keras.Model(inputs, layers.Conv2D(1, 1, activation="sigmoid")(x))


def keyword_spotting() -> keras.Model:
    inputs = keras.Input((40, 6))
    x = layers.Conv1D(8, 5, strides=2, use_bias=False)(inputs)
    x = layers.ReLU()(layers.BatchNormalization()(x))
    for _ in range(2):
        y = layers.SeparableConv1D(8, 3, padding="same", use_bias=False)(x)
        x = layers.Add()([x, layers.Activation("swish")(layers.BatchNormalization()(y))])
    x = layers.MaxPooling1D(2)(x)
    return keras.Model(inputs, layers.Dense(4)(layers.GlobalAveragePooling1D()(x)))


def siamese() -> keras.Model:
    left, right = keras.Input((12,), name="left"), keras.Input((12,), name="right")
    branch = keras.Sequential([keras.Input((12,)), layers.Dense(8, activation="relu"), layers.Dense(6)])
    difference = ops.abs(layers.Subtract()([branch(left), branch(right)]))
    return keras.Model([left, right], layers.Dense(1)(difference))


@keras.saving.register_keras_serializable(package="tests")
class SqueezeExcite(layers.Layer):
    """A custom block with a branch, written with layers and `keras.ops`."""

    def __init__(self, filters: int, **kwargs) -> None:
        super().__init__(**kwargs)
        self.filters = filters
        self.convolution = layers.DepthwiseConv2D(3, padding="same")
        self.norm = layers.BatchNormalization()
        self.squeeze = layers.Dense(2, activation="relu")
        self.excite = layers.Dense(filters, activation="hard_sigmoid")

    def call(self, x, training=None):
        y = ops.relu6(self.norm(self.convolution(x), training=training))
        gate = self.excite(self.squeeze(ops.mean(y, axis=(1, 2), keepdims=True)))
        return x + y * gate

    def get_config(self):
        return {**super().get_config(), "filters": self.filters}


class Subclassed(keras.Model):
    """A model with its own `call`."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = layers.Conv2D(6, 3, activation="elu")
        self.blocks = [SqueezeExcite(6), SqueezeExcite(6)]
        self.head = layers.Dense(4)

    def call(self, x, training=None):
        x = self.stem(x)
        for block in self.blocks:
            x = block(x, training=training)
        return self.head(ops.max(x, axis=(1, 2)))


def subclassed() -> keras.Model:
    model = Subclassed()
    model(np.zeros((1, 8, 8, 3), "float32"))
    return model


def backbone_and_head() -> keras.Model:
    inputs = keras.Input((8, 8, 3))
    x = layers.Conv2D(6, 3, use_bias=False)(layers.Rescaling(1 / 2.0)(inputs))
    x = layers.LeakyReLU()(layers.BatchNormalization()(x))
    backbone = keras.Model(inputs, layers.AveragePooling2D(2)(x), name="backbone")
    outer = keras.Input((8, 8, 3))
    return keras.Model(outer, layers.Dense(4)(layers.Flatten()(backbone(outer, training=False))))


def in_precision(policy: str) -> keras.Model:
    """A residual network whose layers compute in 16 bits, with float32 outputs as Keras advises."""
    inputs = keras.Input((8, 8, 3))
    x = layers.Conv2D(6, 3, padding="same", use_bias=False, dtype=policy)(inputs)
    x = layers.ReLU(dtype=policy)(layers.BatchNormalization(dtype=policy)(x))
    y = layers.Conv2D(6, 3, padding="same", dtype=policy, activation="swish")(x)
    x = layers.GlobalAveragePooling2D(dtype=policy)(layers.Add(dtype=policy)([x, y]))
    return keras.Model(inputs, layers.Dense(4, dtype="float32")(x))


def recurrent() -> keras.Model:
    """A fused operator, and steps of a cell, in the middle of other layers."""
    inputs = keras.Input((3, 4))
    x = layers.LSTM(4, return_sequences=True)(layers.Dense(6, activation="relu")(inputs))
    x = layers.GRU(3, return_sequences=True)(x)
    return keras.Model(inputs, layers.Dense(4)(layers.GlobalAveragePooling1D()(x)))


# Name -> (the model, kinds of its operations that stay float, compile arguments).
BATTERY: dict[str, tuple[Callable[[], keras.Model], set[str], dict]] = {
    "vision_transformer": (vision_transformer, set(), {}),
    "u_net": (u_net, set(), {}),
    "keyword_spotting": (keyword_spotting, set(), {}),
    "siamese": (siamese, set(), {}),
    "subclassed": (subclassed, set(), {}),
    "backbone_and_head": (backbone_and_head, set(), {}),
    "mixed_float16": (lambda: in_precision("mixed_float16"), set(), {}),
    "mixed_bfloat16": (lambda: in_precision("mixed_bfloat16"), set(), {}),
    "jit_compile": (backbone_and_head, set(), {"jit_compile": True}),
    "recurrent": (recurrent, set(), {}),
}
