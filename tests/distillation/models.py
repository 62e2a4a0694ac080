"""The networks that the distillation tests train, and how two trainings are compared."""

import keras
import numpy as np
from keras import layers

CLASSES = 4


def classifier(units=6, activation="softmax", l2=0.0, name=None, dtype=None):
    """Flatten, Dense, batch norm, Dense: has regularizers and state that training would change."""
    regularizer = keras.regularizers.L2(l2) if l2 else None
    layers = [
        keras.layers.Flatten(dtype=dtype),
        keras.layers.Dense(units, "relu", kernel_regularizer=regularizer, dtype=dtype),
        keras.layers.BatchNormalization(dtype=dtype),
        keras.layers.Dense(CLASSES, activation, dtype=dtype),
    ]
    return keras.Sequential([keras.Input((8, 8, 1)), *layers], name=name)


class Subclassed(keras.Model):
    """A model whose shapes are not known before the first batch, with an add_loss term."""

    def __init__(self, classes=CLASSES, penalty=0.01, **kwargs):
        super().__init__(**kwargs)
        self.penalty = penalty
        self.flatten = keras.layers.Flatten()
        self.dense = keras.layers.Dense(classes)

    def call(self, inputs):
        outputs = self.dense(self.flatten(inputs))
        if self.penalty:
            self.add_loss(self.penalty * keras.ops.mean(keras.ops.square(outputs)))
        return keras.ops.softmax(outputs)


def two_heads(units, names=("a", "b"), classes=(3, 5)):
    inputs = keras.Input((8, 8, 1))
    features = keras.layers.Dense(units, "relu")(keras.layers.Flatten()(inputs))
    outputs = {
        name: keras.layers.Dense(count, "softmax", name=name)(features)
        for name, count in zip(names, classes, strict=True)
    }
    return keras.Model(inputs, outputs)


def built(model):
    model(np.zeros((1, 8, 8, 1)))
    return model


def exits(kind):
    inputs = keras.Input((8, 8, 1))
    x, heads = layers.Flatten()(inputs), {}
    for name in ("first", "second", "third"):
        x = layers.Dense(6, "relu", name=f"{name}_block")(x)
        heads[name] = layers.Dense(4, "softmax", name=name)(x)
    return keras.Model(inputs, heads if kind == "dict" else list(heads.values()))


def assert_same_run(one, other, tolerance=1e-4):
    """Whether two pairs of logs and weights agree."""
    for name, values in one[0].items():
        np.testing.assert_allclose(values, other[0][name], rtol=tolerance, err_msg=name)
    for a, b in zip(one[1], other[1], strict=True):
        np.testing.assert_allclose(a, b, rtol=tolerance, atol=tolerance)
