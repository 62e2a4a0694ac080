"""One table of small models in every form that Keras has; a contract test runs over all of its rows."""

from collections.abc import Callable

import keras
import numpy as np
from keras import layers, ops

IMAGE = (8, 8, 3)


@keras.saving.register_keras_serializable(package="tests")
class Block(layers.Layer):
    """A custom block made of stock layers and `keras.ops`: capture opens it."""

    def __init__(self, filters: int, **kwargs) -> None:
        super().__init__(**kwargs)
        self.filters = filters
        self.convolution = layers.Conv2D(filters, 3, padding="same")
        self.norm = layers.BatchNormalization()

    def call(self, x, training=None):
        return ops.relu(self.norm(self.convolution(x), training=training)) + x

    def get_config(self):
        return {**super().get_config(), "filters": self.filters}


class Subclassed(keras.Model):
    """A model with its own `call`."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = layers.Conv2D(4, 3, activation="relu")
        self.blocks = [Block(4), Block(4)]
        self.head = layers.Dense(3)

    def call(self, x, training=None):
        x = self.stem(x)
        for block in self.blocks:
            x = block(x, training=training)
        return ops.softmax(self.head(ops.mean(x, axis=(1, 2))))


def sequential() -> keras.Model:
    return keras.Sequential(
        [
            keras.Input(IMAGE),
            layers.Conv2D(4, 3, use_bias=False),
            layers.BatchNormalization(),
            layers.ReLU(),
            layers.MaxPooling2D(),
            layers.Flatten(),
            layers.Dropout(0.1),
            layers.Dense(3, activation="softmax"),
        ]
    )


def residual() -> keras.Model:
    inputs = keras.Input(IMAGE)
    x = layers.Conv2D(4, 3, padding="same", activation="relu")(inputs)
    y = layers.DepthwiseConv2D(3, padding="same")(x)
    y = layers.ReLU(6.0)(layers.BatchNormalization()(y))
    x = layers.Activation("relu")(layers.Add()([x, y]))
    x = layers.Concatenate()([x, y, inputs])
    x = layers.Activation("relu")(layers.BatchNormalization()(x))
    x = layers.AveragePooling2D(2)(layers.ZeroPadding2D(1)(x))
    x = layers.GlobalAveragePooling2D()(x)
    return keras.Model(inputs, layers.Dense(3, activation="tanh")(x))


def one_dimensional() -> keras.Model:
    inputs = keras.Input((16, 3))
    x = layers.Conv1D(4, 3, padding="causal")(inputs)
    x = layers.ReLU()(layers.BatchNormalization()(x))
    x = layers.MaxPooling1D(2)(x)
    x = layers.Conv1D(4, 3, strides=2, activation="relu")(layers.BatchNormalization()(x))
    x = layers.Flatten()(layers.AveragePooling1D(2)(x))
    x = layers.ReLU()(layers.BatchNormalization()(layers.Dense(6)(x)))
    return keras.Model(inputs, layers.Dense(3, activation="sigmoid")(x))


def nested() -> keras.Model:
    """A backbone used as a layer in inference mode, as in transfer learning, with a head on it."""
    backbone = keras.Sequential(
        [keras.Input(IMAGE), layers.Conv2D(4, 3), layers.BatchNormalization(), layers.ReLU()], name="backbone"
    )
    inputs = keras.Input(IMAGE)
    x = layers.GlobalMaxPooling2D()(backbone(inputs, training=False))
    return keras.Model(inputs, layers.Dense(3, activation="softmax")(x))


def siamese() -> keras.Model:
    """Two inputs through one shared layer."""
    left, right = keras.Input(IMAGE, name="left"), keras.Input(IMAGE, name="right")
    shared = layers.Conv2D(4, 3, name="shared")
    x = layers.Subtract()([shared(left), shared(right)])
    return keras.Model([left, right], layers.Dense(2)(layers.GlobalAveragePooling2D()(x)))


def several_outputs() -> keras.Model:
    inputs = keras.Input(IMAGE)
    x = layers.Conv2D(4, 3, activation="relu")(inputs)
    outputs = {"features": x, "scores": layers.Dense(3, activation="softmax")(layers.Flatten()(x))}
    return keras.Model(inputs, outputs)


def subclassed() -> keras.Model:
    model = Subclassed()
    model(np.zeros((1, *IMAGE), "float32"))
    return model


MODELS: dict[str, Callable[[], keras.Model]] = {
    "sequential": sequential,
    "residual": residual,
    "one_dimensional": one_dimensional,
    "nested": nested,
    "siamese": siamese,
    "several_outputs": several_outputs,
    "subclassed": subclassed,
}


def trained_like(model: keras.Model, seed: int = 0) -> keras.Model:
    """Gives batch norms and biases the spread that training gives them; fresh ones are all zero or one."""
    rng = np.random.default_rng(seed)
    for weight in model.weights:
        if weight.name in ("gamma", "moving_variance"):
            weight.assign(rng.uniform(0.5, 1.5, weight.shape))
        elif weight.name in ("beta", "moving_mean", "bias"):
            weight.assign(rng.normal(0.0, 0.3, weight.shape))
    return model


def samples_for(model: keras.Model, count: int = 64, seed: int = 1):
    """Random inputs of the model's structure."""
    rng = np.random.default_rng(seed)
    shapes = [tensor.shape[1:] for tensor in model.inputs] if getattr(model, "inputs", None) else [IMAGE]
    arrays = [rng.normal(size=(count, *shape)).astype("float32") for shape in shapes]
    return arrays if len(arrays) > 1 else arrays[0]
