from typing import Any

import keras
import numpy as np
import pytest

import tfopt
from tfopt.runtimes._predict import predict


class Counting(keras.layers.Layer):
    """Counts how often Python runs it: once for each trace."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.sizes: list[int | None] = []

    def call(self, x: Any) -> Any:
        self.sizes.append(x.shape[0])
        return x + 1.0


@pytest.mark.parametrize(("total", "size"), [(1, 1), (32, 32), (60, 30), (61, 31), (100, 25)])
def test_the_model_is_traced_once(total: int, size: int) -> None:
    layer = Counting()
    model = keras.Sequential([keras.Input((2,)), layer])
    layer.sizes.clear()
    x = np.arange(2.0 * total).reshape(total, 2).astype("float32")
    assert np.array_equal(predict(model, x), x + 1.0)
    assert layer.sizes == [size]


def test_a_fixed_batch_size_is_kept() -> None:
    model = keras.Sequential([keras.Input(batch_shape=(4, 2)), keras.layers.Rescaling(2.0)])
    x = np.arange(20.0).reshape(10, 2)
    assert np.array_equal(predict(model, x), 2 * x)


def test_structures_pass_through() -> None:
    a, b = keras.Input((2,), name="a"), keras.Input((3,), name="b")
    model = keras.Model([a, b], {"b": b * 2.0, "a": a + 0.0})
    x = {"a": np.ones((33, 2)), "b": np.ones((33, 3))}
    outputs = predict(model, x)
    assert {name: array.shape for name, array in outputs.items()} == {"a": (33, 2), "b": (33, 3)}


def test_a_quantized_model_gives_what_predict_gives_without_a_trace() -> None:
    inputs = keras.Input((6, 6, 2))
    x = keras.layers.BatchNormalization()(keras.layers.Conv2D(4, 3)(inputs))
    x = keras.layers.LayerNormalization()(keras.layers.Activation("gelu")(x))
    model = keras.Model(inputs, {"y": keras.layers.Dense(3, activation="softmax")(keras.layers.Flatten()(x))})
    x = np.random.default_rng(0).normal(size=(70, 6, 6, 2)).astype("float32")
    q = tfopt.quantize(model, calibration=x)
    values = predict(q, x)
    assert q.predict_function is None
    assert np.array_equal(values["y"], q.predict(x, verbose=0)["y"])


@pytest.mark.parametrize(
    "x",
    [[np.ones((4, 3))] * 2, np.ones((4, 3)), {"zebra": np.ones((4, 3))}],
    ids=["a list", "an array", "a key less"],
)
def test_what_a_model_of_a_dict_takes_is_said(x: Any) -> None:
    inputs = {name: keras.Input((3,), name=name) for name in ("zebra", "ant")}
    model = keras.Model(inputs, keras.layers.Add()(list(inputs.values())))
    with pytest.raises(
        ValueError, match=r"instead of \{'zebra': \(None, 3\), 'ant': \(None, 3\)\}\."
    ) as caught:
        predict(model, x)
    assert "inspect" not in str(caught.value)
