"""What the calls are made with."""

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np
from keras import layers

import tfopt


@dataclasses.dataclass
class Things:
    """What calls are made with."""

    net: keras.Model
    quantized: keras.Model
    x: np.ndarray
    y: np.ndarray
    file: Path
    folder: Path

    @classmethod
    def make(cls, folder: Path) -> "Things":
        """A classifier of three classes, the same quantized, and its file."""
        x, y = np.random.default_rng(0).normal(size=(16, 4)).astype("float32"), np.arange(16) % 3
        net = keras.Sequential(
            [
                keras.Input((4,), name="row"),
                layers.Dense(8, "relu", name="hidden"),
                layers.Dense(3, "softmax"),
            ]
        )
        quantized = tfopt.quantize(net, x)
        tfopt.export(quantized, folder / "q.tflite")
        return cls(net, quantized, x, y, folder / "q.tflite", folder)

    def spoilt(self, value: float) -> keras.Model:
        """The classifier with one weight that is no number."""
        model = keras.models.clone_model(self.net)
        kernel = np.ones((4, 8), "float32")
        kernel[1, 2] = value
        model.layers[0].kernel.assign(kernel)
        return model

    def fit(self, callback: Any, model: keras.Model | None = None, unit: int = 1) -> Any:
        """An epoch of training with a callback."""
        model = model or keras.models.clone_model(self.net)
        model.compile("sgd", "sparse_categorical_crossentropy")
        return model.fit(self.x, self.y, epochs=unit, verbose=0, callbacks=[callback])

    def distil(self, teacher: Any, **settings: Any) -> Any:
        """A step of distillation."""
        distiller = tfopt.Distiller(keras.models.clone_model(self.net), teacher, **settings)
        distiller.compile("sgd", "sparse_categorical_crossentropy")
        return distiller.fit(self.x, self.y, verbose=0)


NAN, INF = float("nan"), float("inf")
EMPTY = np.zeros((0, 4), "float32")
RAGGED = [[1.0, 2.0, 3.0, 4.0], [1.0]]


def input_only() -> keras.Model:
    inputs = keras.Input((4,))
    return keras.Model(inputs, inputs)


def unbuilt() -> keras.Model:
    return keras.Sequential([layers.Dense(2)])


def of_size_0() -> keras.Model:
    return keras.Sequential([keras.Input((0,)), layers.Dense(2)])


def spoilt_rows(x: np.ndarray, value: float) -> np.ndarray:
    changed = x.copy()
    changed[3, 1] = value
    return changed


Call = Callable[[Things], Any]
