"""`register_quantized`: custom layers with weights of their own, on the int8 grid from training to file."""

import keras
import numpy as np
import pytest
from keras import layers, ops

import tfopt
from tests.models import samples_for
from tfopt.graph import capture


@tfopt.register_quantized(weights={"kernel": (-1,), "gate": ()})
@keras.saving.register_keras_serializable(package="tests")
class Gated(layers.Layer):
    """Two weights: one rounded per channel, one as a whole."""

    def build(self, shape):
        self.kernel = self.add_weight(shape=(shape[-1], 5), name="kernel")
        self.gate = self.add_weight(shape=(5, 3), name="gate")

    def call(self, x):
        return ops.matmul(ops.matmul(x, self.kernel), self.gate)


class Unregistered(layers.Layer):
    def build(self, shape):
        self.kernel = self.add_weight(shape=(shape[-1], 3), name="kernel")

    def call(self, x):
        return ops.matmul(x, self.kernel)


def quantized(layer):
    inputs = keras.Input((4,))
    model = keras.Model(inputs, layer(inputs))
    x = samples_for(model)
    return model, tfopt.quantize(model, x), x


def test_it_computes_with_rounded_weights_and_trains_saves_and_loads(tmp_path):
    model, q, x = quantized(Gated(name="gated"))
    (row,) = q.report.layers
    assert (row.done, row.note) == (
        "int8",
        "its kernel and gate; the rest of its call may stay float in a file, as export says",
    )

    layer, (kernel, gate) = q.get_layer("gated"), model.get_layer("gated").get_weights()
    assert isinstance(layer, Gated) and isinstance(layer.kernel, keras.Variable)
    steps = np.abs(kernel).max(axis=0) / 127
    rounded = layer.to_inference()
    assert type(rounded) is Gated
    np.testing.assert_allclose(rounded.kernel, np.round(kernel / steps) * steps, rtol=2**-14)
    np.testing.assert_allclose(
        np.asarray(rounded.gate) / (np.abs(gate).max() / 127) % 1 % 0.999, 0, atol=2e-3
    )

    q.compile("sgd", "mse", jit_compile=False)
    q.fit(x, np.ones((len(x), 3)), verbose=0)
    assert (np.asarray(layer.kernel) != kernel).all() and (np.asarray(layer.gate) != gate).all()
    q.save(tmp_path / "q.keras")
    loaded = keras.models.load_model(tmp_path / "q.keras")
    np.testing.assert_array_equal(loaded(x, training=False), q(x, training=False))


def test_an_unregistered_layer_is_an_island_and_says_so():
    _, q, _ = quantized(Unregistered(name="odd"))
    (row,) = q.report.layers
    assert (row.path, row.done, row.note) == (
        "odd",
        "float",
        "weights of its own: see tfopt.register_quantized",
    )


def test_a_registered_layer_exports(tmp_path):
    @keras.saving.register_keras_serializable(package="tests")
    class Linear(Unregistered):
        pass

    tfopt.register_quantized(Linear, weights=["kernel"])
    _, q, x = quantized(Linear(name="linear"))
    report = tfopt.export(q, tmp_path / "q.tflite", strict=True)
    assert report.weight_bits == {8: 12}
    assert tfopt.verify(q, tmp_path / "q.tflite", x).passed


def test_a_layer_called_on_constants_is_reported():
    class Positions(layers.Layer):
        def __init__(self, **kwargs):
            super().__init__(**kwargs)
            self.table = layers.Embedding(4, 1, name="table")

        def call(self, x):
            return x + self.table(ops.arange(4))[:, 0]

    model, q, _ = quantized(Positions())
    (row,) = (row for row in q.report.layers if row.done == "constant")
    assert (row.path, row.kind) == ("table", "Embedding")
    assert "do not train" in row.note
    assert not any("table" in node.path for node in capture(model).nodes)


def test_misuse_teaches():
    with pytest.raises(
        TypeError, match=r"'layer_class' argument must be a class of Keras layers.*Pass the class"
    ):
        tfopt.register_quantized(layers.Dense(2), weights=["kernel"])
    with pytest.raises(ValueError, match=r"must be a layer class of yours. Got keras.layers.Dense"):
        tfopt.register_quantized(layers.Dense, weights=["kernel"])
    for weights in ([], "kernel"):
        with pytest.raises(ValueError, match=r"'weights' argument must name at least one weight"):
            tfopt.register_quantized(Unregistered, weights=weights)

    class Misnamed(Unregistered):
        pass

    tfopt.register_quantized(Misnamed, weights=["weight"])
    with pytest.raises(ValueError, match=r"'odd' must hold the weight 'weight'.*It holds '.*kernel'"):
        quantized(Misnamed(name="odd"))
