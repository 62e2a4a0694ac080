"""What an operation is, and what a model ends with."""

import keras
import pytest
from keras import layers, ops

from tests.models import MODELS
from tfopt.graph import (
    final_activation,
    kind,
)


@pytest.mark.parametrize(
    "output, expected",
    [
        (layers.Dense(2), "linear"),
        (layers.Dense(2, activation="softmax"), "softmax"),
        (lambda x: layers.Reshape((2, 1))(layers.Softmax()(layers.Dense(2)(x))), "softmax"),
        (lambda x: ops.sigmoid(layers.Dense(1)(x)), "sigmoid"),
        (lambda x: layers.Activation("tanh")(x), "tanh"),
        (lambda x: layers.LSTM(2)(layers.Reshape((1, 4))(x)), None),
    ],
)
def test_final_activation(output, expected):
    inputs = keras.Input((4,))
    assert final_activation(keras.Model(inputs, output(inputs))) == expected


def test_final_activation_of_a_subclassed_model():
    assert final_activation(MODELS["subclassed"]()) == "softmax"


class Doubled(layers.Dense):
    def call(self, x, training=None):
        return 2 * super().call(x, training)


@pytest.mark.parametrize(
    "op, expected",
    [
        (layers.Activation("relu6"), "relu6"),
        (layers.ReLU(), "relu"),
        (layers.ReLU(max_value=3), "ReLU"),
        (layers.ReLU(negative_slope=0.1), "leaky_relu"),
        (layers.LeakyReLU(), "leaky_relu"),
        (layers.Activation(lambda x: x), "Activation"),
        (layers.Add(), "Add"),
        (Doubled(2), "Doubled"),
    ],
)
def test_kind(op, expected):
    assert kind(op) == expected
