"""Custom layers with weights of their own: a registration is a row like those of Keras' layers."""

import keras
import numpy as np
import pytest
from keras import layers, ops

import tfopt
from tests.models import trained_like
from tests.shrinking.equality import assert_equal, found, masked
from tfopt.pruning import ConstantSparsity, Pruning
from tfopt.shrinking import cut, keep_ratio, score


class Gated(layers.Layer):
    """Two kernels, one of which gates the other; the bias is added to both."""

    def __init__(self, width: int, **kwargs) -> None:
        super().__init__(**kwargs)
        self.width = width

    def build(self, shape) -> None:
        self.bias = self.add_weight(shape=(self.width,), name="bias", initializer="normal")
        self.gate = self.add_weight(shape=(self.width, shape[-1]), name="gate")
        self.value = self.add_weight(shape=(1, shape[-1], self.width), name="value")

    def call(self, x):
        gate = ops.sigmoid(ops.matmul(x, ops.transpose(self.gate)) + self.bias)
        return gate * (ops.matmul(x, self.value[0]) + self.bias)

    def get_config(self):
        return {**super().get_config(), "width": self.width}


class Scaled(layers.Layer):
    """Each channel by itself."""

    def build(self, shape) -> None:
        self.scale = self.add_weight(shape=(shape[-1],), name="scale", initializer="normal")

    def call(self, x):
        return x * ops.exp(self.scale)


class Mixed(Scaled):
    """As `Scaled`, but its channels depend on each other."""

    def call(self, x):
        return x * self.scale * ops.mean(ops.exp(x), axis=-1, keepdims=True)


GATED = {
    "weights": {"bias": ("out",), "gate": ("out", "in"), "value": (None, "in", "out")},
    "config": {"width": "out"},
}
tfopt.register_channels(Gated, **GATED)
tfopt.register_channels(Scaled, weights={"scale": ("in",)})
tfopt.register_channels(Mixed, weights={"scale": ("in",)})


def network(middle: type[layers.Layer] = Scaled) -> keras.Model:
    inputs = keras.Input((5, 6))
    x = Gated(12, name="first")(layers.Dense(8)(inputs))
    x = layers.Add()([middle()(x), layers.Dense(12)(x)])
    return trained_like(keras.Model(inputs, layers.Dense(2)(ops.mean(Gated(16, name="last")(x), axis=1))))


def test_registered_layers_are_cut_as_others_are() -> None:
    model = network()
    channels = found(model)
    kept = keep_ratio(channels, score(channels), 0.5, divisor=1)
    x = np.random.default_rng(0).normal(size=(3, 5, 6)).astype("float32")
    small = cut(channels, kept)
    assert_equal(small(x), masked(channels, kept)(x))
    assert small.get_layer("first").width == 6 and small.get_layer("last").width == 8


def test_they_are_not_cut_without_a_registration() -> None:
    plain = type("Plain", (Scaled,), {"__module__": __name__})
    rows = {
        row.path: row.reason for row in tfopt.shrink(network(plain), channels=0.5, divisor=1).report.layers
    }
    assert "no rule for Plain" in rows["first"] and rows["last"] == ""


def test_a_wrong_registration_is_found_out() -> None:
    with pytest.raises(ValueError, match=r"register_channels for Mixed must say.*depend on each other"):
        tfopt.shrink(network(Mixed), channels=0.5, divisor=1)


def test_pruning_masks_what_is_removed() -> None:
    model = network()
    model.compile("sgd", "mse", jit_compile=False)
    x = np.random.default_rng(0).normal(size=(8, 5, 6)).astype("float32")
    pruning = Pruning(ConstantSparsity(0.5), "dense", pattern="channels")
    model.fit(x, np.zeros((8, 2)), verbose=0, callbacks=[pruning])
    small = tfopt.shrink(model, channels="zero", divisor=1)
    assert_equal(small(x), model(x))


@pytest.mark.parametrize(
    ("arguments", "error", "words"),
    [
        ({"layer_class": Gated(2)}, TypeError, "must be a class of Keras layers"),
        (
            {"layer_class": layers.Dense},
            ValueError,
            "Got keras.layers.Dense, which tfopt.shrink knows already",
        ),
        ({"layer_class": Gated, "weights": {"gate": "in"}}, ValueError, "Got 'in' for 'gate'"),
        (
            {"layer_class": Gated, "weights": {"gate": ("in", 1)}},
            ValueError,
            "'in', 'out' or None for each axis",
        ),
        ({"layer_class": Gated, "config": {"width": 3}}, ValueError, "Got 3 for 'width'"),
    ],
)
def test_errors_teach(arguments, error, words) -> None:
    with pytest.raises(error, match=words):
        tfopt.register_channels(**arguments)
