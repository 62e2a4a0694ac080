"""The work: networks that are trained once in float, by plain Keras 3, and kept with their data for everyone."""

import dataclasses
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np

from tests.benchmarks.data_folder import Arrays, cifar10, find, mnist
from tests.benchmarks.peers import networks
from tests.benchmarks.peers.contenders.converter import converter_of
from tests.benchmarks.peers.work import Work, weights_of

CALIBRATION = 256


@dataclasses.dataclass(frozen=True)
class Task:
    """A network and its data.

    Attributes:
        about: both, in words.
        network: a function of `networks`, and `arguments` for it.
        data: gives `x, y, x_test, y_test`.
        float_epochs: how long the float network is trained, at `float_rate`.
        epochs: how long a contender may train, at `rate`.
        start: weights to train the float network from.
    """

    about: str
    network: str
    data: Callable[[], Arrays]
    float_epochs: int
    epochs: int
    arguments: dict[str, Any] = dataclasses.field(default_factory=dict)
    float_rate: float = 3e-3
    rate: float = 5e-4
    augmented: bool = False
    start: Callable[[], list[np.ndarray]] | None = None


def digits() -> Arrays:
    """1,797 images of 8 x 8, of which 360 to test on."""
    from sklearn.datasets import load_digits

    x, y = load_digits(return_X_y=True)
    order = np.random.default_rng(0).permutation(len(x))
    x, y = (x[order].reshape(-1, 8, 8, 1) / 16.0).astype("float32"), y[order]
    return x[360:], y[360:], x[:360], y[:360]


def spectra() -> Arrays:
    """Frames of eight hidden causes and noise; an autoencoder gives them back."""
    rng = np.random.default_rng(0)
    causes = rng.normal(size=(8, 640)) * np.exp(-np.arange(8) / 4)[:, None]
    x = np.tanh(rng.normal(size=(10_000, 8)) @ causes) + 0.1 * rng.normal(size=(10_000, 640))
    train, test = np.split(x.astype("float32"), [8000])
    return train, train, test, test


def pretrained_resnet8() -> list[np.ndarray]:
    """MLPerf Tiny's weights, which come in the order of our network's."""
    return keras.models.load_model(find("pretrainedResnet.h5"), compile=False).get_weights()


TASKS = {
    "digits": Task("A DS-CNN on scikit-learn's digits, 8 x 8", "ds_cnn", digits, 100, 20, {"size": 8}),
    "images": Task(
        "ResNet8 of MLPerf Tiny on CIFAR-10, compressed as JPEG, from MLPerf Tiny's weights",
        "resnet8",
        cifar10,
        6,
        6,
        {"activation": None},
        1e-3,
        augmented=True,
        start=pretrained_resnet8,
    ),
    "keywords": Task(
        "A DS-CNN as MLPerf Tiny's keyword spotter, on 10,000 images of MNIST for want of its recordings",
        "ds_cnn",
        mnist,
        12,
        8,
        {"size": 28, "filters": 64},
    ),
    "rows": Task(
        "An LSTM that reads 10,000 images of MNIST row by row",
        "lstm",
        lambda: _without_channel(mnist()),
        12,
        8,
    ),
    "patches": Task("A small vision transformer on 10,000 images of MNIST", "vit", mnist, 25, 8),
    "mobile": Task(
        "MobileNetV2-0.35 on 20,000 images of CIFAR-10, compressed as JPEG",
        "mobilenet_v2",
        lambda: _first(cifar10(), 20_000),
        10,
        4,
        {"alpha": 0.35, "size": 32, "activation": None},
        augmented=True,
    ),
    "anomalies": Task(
        "MLPerf Tiny's autoencoder on made spectra, of low rank with noise",
        "autoencoder",
        spectra,
        100,
        10,
        float_rate=1e-3,
    ),
}


def _first(arrays: Arrays, count: int) -> Arrays:
    x, y, x_test, y_test = arrays
    return x[:count], y[:count], x_test, y_test


def _without_channel(arrays: Arrays) -> Arrays:
    x, y, x_test, y_test = arrays
    return x[..., 0], y, x_test[..., 0], y_test


def write(name: str, folder: Path) -> Path:
    """The folder of a task: `task.json`, `weights.npz` and `data.npz`; made if it is not there."""
    if (folder / "task.json").exists():
        return folder
    folder.mkdir(parents=True, exist_ok=True)
    task = TASKS[name]
    x, y, x_test, y_test = task.data()
    keras.utils.clear_session()
    keras.utils.set_random_seed(0)
    model = getattr(networks, task.network)(keras, **task.arguments)
    if task.start is not None:
        model.set_weights(task.start())
    float_file = folder / "float.tflite"
    settings = (task.float_epochs, task.float_rate, 0, task.augmented, folder, float_file)
    work = Work(keras, model, x, y, x_test, x[:CALIBRATION], *settings)
    work.train(model)
    float_file.write_bytes(converter_of(work).convert())
    arrays = {"x": x, "x_test": x_test, "y_test": y_test, "calibration": x[:CALIBRATION]}
    if y is not x:
        arrays["y"] = y
    outputs = model.predict(x_test, verbose=0)
    np.savez(folder / "data.npz", **arrays, float_outputs=outputs[:64])
    np.savez(folder / "weights.npz", **weights_of(model))
    model.save(folder / "float.keras")
    about = {
        "name": name,
        **{key: getattr(task, key) for key in ("network", "arguments", "epochs", "rate", "augmented")},
    }
    (folder / "task.json").write_text(json.dumps(about))  # last: a folder with it is whole
    return folder
