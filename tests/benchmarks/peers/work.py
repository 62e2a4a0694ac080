"""What a contender is given: the float network in its own Keras, the data, and one way to train.

This module runs in every environment: it imports NumPy alone, and the Keras that it is given.
"""

import dataclasses
import json
import math
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from tests.benchmarks.peers import networks

BATCH = 64


@dataclasses.dataclass
class Work:
    """A task in one contender's hands.

    Attributes:
        library: the Keras that the contender works with.
        model: the trained float network.
        x, y: training data; `y` are classes, or the inputs themselves for an autoencoder.
        x_test: what accuracy is measured on. A contender never sees the labels.
        calibration: training inputs for post-training quantization, the same for all.
        epochs: how long to train in all, however many fits that takes.
        rate: first learning rate of training that starts from the float weights.
        folder: for the file, and for what a method leaves beside it.
        float_file: the float network as a .tflite file, for those who have no Keras.
    """

    library: Any
    model: Any
    x: np.ndarray
    y: np.ndarray
    x_test: np.ndarray
    calibration: np.ndarray
    epochs: int
    rate: float
    seed: int
    augmented: bool
    folder: Path
    float_file: Path

    @property
    def steps(self) -> int:
        """Batches of an epoch."""
        return math.ceil(len(self.x) / BATCH)

    @property
    def path(self) -> Path:
        """Where the file goes."""
        return self.folder / "model.tflite"

    def calls(self, batch: int = 1) -> Iterator[list[np.ndarray]]:
        """The calibration samples as converters take them: a list of an array for each input, so many at a time."""
        arrays = self.calibration if isinstance(self.calibration, list) else [self.calibration]
        for first in range(0, len(arrays[0]), batch):
            yield [array[first : first + batch] for array in arrays]

    def loss(self) -> Any:
        """Cross entropy of logits, or the mean squared error where targets are not classes."""
        if np.issubdtype(self.y.dtype, np.integer):
            return self.library.losses.SparseCategoricalCrossentropy(from_logits=True)
        return "mse"

    def train(
        self, model: Any, epochs: int | None = None, callbacks: Sequence[Any] = (), **given: Any
    ) -> Any:
        """Adam on a cosine from `rate` to 0, without XLA, on the same batches for every contender."""
        epochs = self.epochs if epochs is None else epochs
        schedule = self.library.optimizers.schedules.CosineDecay(self.rate, max(1, epochs * self.steps))
        loss = given.pop("loss", None) or self.loss()
        model.compile(self.library.optimizers.Adam(schedule), loss, jit_compile=False, **given)
        arguments = {"steps_per_epoch": self.steps, "epochs": epochs, "verbose": 2}
        model.fit(self.batches(), callbacks=list(callbacks), **arguments)
        return model

    def batches(self) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Endless; each epoch in another order, images flipped and shifted by up to a tenth where the task says so."""
        rng = np.random.default_rng(self.seed)
        while True:
            order = rng.permutation(len(self.x))
            for first in range(0, len(order), BATCH):
                rows = order[first : first + BATCH]
                x = self._augmented(self.x[rows], rng) if self.augmented else self.x[rows]
                yield x, (self.y[rows] if self.y is not self.x else x)

    @staticmethod
    def _augmented(images: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        size = images.shape[1]
        most = size // 8
        padded = np.pad(images, ((0, 0), (most, most), (most, most), (0, 0)))
        out = np.empty_like(images)
        for row, (top, left, flip) in enumerate(
            rng.integers(0, (2 * most + 1, 2 * most + 1, 2), (len(images), 3))
        ):
            part = padded[row, top : top + size, left : left + size]
            out[row] = part[:, ::-1] if flip else part
        return out


def weights_of(model: Any) -> dict[str, np.ndarray]:
    """All weights of a network: `layer/number` -> values."""
    return {
        f"{layer.name}/{number}": np.asarray(value)
        for layer in model.layers
        for number, value in enumerate(layer.get_weights())
    }


def load(task: Path, library: Any | None, folder: Path, seed: int) -> Work:
    """The task of a folder that `tasks.write` made, its network in this Keras.

    Raises:
        ValueError: the network does not compute what it computed in the Keras that trained it.
    """
    about = json.loads((task / "task.json").read_text())
    with np.load(task / "data.npz") as data:
        arrays = {name: data[name] for name in ("x", "x_test", "calibration")}
        y = data["y"] if "y" in data else arrays["x"]
        expected = data["float_outputs"]
    model = library and _network(task, about, library, seed)
    if model is not None:
        check(model.predict(arrays["x_test"][: len(expected)], verbose=0), expected, about["name"])
    settings = {name: about[name] for name in ("epochs", "rate", "augmented")}
    settings |= {"seed": seed, "folder": folder, "float_file": task / "float.tflite"}
    return Work(library, model, y=y, **arrays, **settings)


def _network(task: Path, about: dict[str, Any], library: Any, seed: int) -> Any:
    library.backend.clear_session()
    library.utils.set_random_seed(seed)
    model = getattr(networks, about["network"])(library, **about["arguments"])
    with np.load(task / "weights.npz") as weights:
        for layer in model.layers:
            values = [weights[f"{layer.name}/{number}"] for number in range(len(layer.get_weights()))]
            layer.set_weights(values)
    return model


def check(found: np.ndarray, expected: np.ndarray, name: str) -> None:
    """Raises a `ValueError` unless a network computes what it was trained to."""
    if not np.allclose(found, expected, rtol=1e-3, atol=1e-3 * np.abs(expected).max()):
        raise ValueError(
            f"The network of {name} must compute what it was trained to. Got outputs "
            f"{np.abs(found - expected).max():.3g} away instead: its weights came in another order."
        )
