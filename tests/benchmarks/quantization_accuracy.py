"""What quantization costs in accuracy, and what repairs it.

    TFOPT_TEST_DATA=folder python -m tests.benchmarks.quantization_accuracy --what=ptq --float_model=float.keras
    ... --what=qat --weight_bits=4 --epochs=20 [--distil] [--clusters=16]
    ... --what=autoencoder

`ptq` and `qat` take ResNet8 of MLPerf Tiny, fine-tuned on CIFAR-10's training images (see `cifar10.py` beside this
file), and count the test images that it gets right, in Keras and from the .tflite file. `ptq` trains nothing: it takes
each range method, and each post-training option of `quantize`. `autoencoder` takes MLPerf Tiny's anomaly detector and
measures how well it reconstructs random normal inputs, which lie far from what it was trained on.
"""

import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import dataclasses
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import keras
import numpy as np
from absl import app, flags

import tfopt
from tests.benchmarks.cifar10 import (
    Augmented,
    Data,
    Minutes,
    accuracy,
    cached,
    float_model,
    load_data,
    train_with,
)
from tests.benchmarks.data_folder import find
from tfopt._report import Table

FLAGS = flags.FLAGS
flags.DEFINE_enum("what", "ptq", ["ptq", "qat", "autoencoder"], "Which experiment.")
flags.DEFINE_string("only", "", "Of ptq and autoencoder: rows with this in their name.")
flags.DEFINE_integer("weight_bits", 8, "Bits of a weight.", lower_bound=2, upper_bound=8)
flags.DEFINE_integer("calibration", 512, "Training images to calibrate on.", lower_bound=1)
flags.DEFINE_integer("epochs", 10, "Epochs of quantization-aware training.", lower_bound=0)
flags.DEFINE_float("learning_rate", 5e-4, "First learning rate of that training.", lower_bound=0.0)
flags.DEFINE_enum("observer", "moving_average", ["moving_average", "lsq", "pact"], "As for QuantConfig.")
flags.DEFINE_enum(
    "range_method", "minmax", ["minmax", "percentile", "mse", "kl"], "Of calibration, before that training."
)
flags.DEFINE_bool("distil", False, "Train with the float model as the teacher.")
flags.DEFINE_integer(
    "clusters", 0, "Distinct codes of each kernel, by Clustering in that training; 0 for all."
)

# Name -> arguments of `quantize`.
OPTIONS: dict[str, dict[str, Any]] = {
    "default": {},
    "equalize": {"equalize": True},
    "correct_bias": {"correct_bias": True},
    "adaround": {"rounding": "adaround"},
    "gptq": {"rounding": "gptq"},
    "adaround, correct_bias": {"rounding": "adaround", "correct_bias": True},
    "gptq, correct_bias": {"rounding": "gptq", "correct_bias": True},
    "mse, correct_bias": {"method": "mse", "correct_bias": True},
    "mse, gptq, correct_bias": {"method": "mse", "rounding": "gptq", "correct_bias": True},
    "16-bit activations": {"activation_bits": 16},
    "16-bit activations, correct_bias": {"activation_bits": 16, "correct_bias": True},
    "all three": {"equalize": True, "rounding": "adaround", "correct_bias": True},
}
RANGES = {f"range {method}": {"method": method} for method in ("percentile", "mse", "kl")}


def config(**settings: Any) -> tfopt.QuantConfig:
    """A scheme with the weights' bits of the command line, where the package has that setting."""
    if "weight_bits" in {field.name for field in dataclasses.fields(tfopt.QuantConfig)}:
        settings["weight_bits"] = FLAGS.weight_bits
    elif FLAGS.weight_bits != 8:
        raise SystemExit("Skipped: this version of tfopt has no weight_bits but 8.")
    ranges = {name: settings.pop(name) for name in ("method", "observer") if name in settings}
    return tfopt.QuantConfig(ranges=tfopt.Ranges(**ranges), **settings)


def contenders(model: keras.Model, calibration: np.ndarray) -> Iterator[tuple[str, keras.Model]]:
    """A quantized copy for each row of the tables above."""
    for name, options in (OPTIONS | RANGES).items():
        if FLAGS.only and FLAGS.only not in name:
            continue
        others = dict(options)
        settings = {key: others.pop(key) for key in ("method", "activation_bits") if key in others}
        yield name, tfopt.quantize(model, calibration, config(**settings), **others)


def shipped(model: keras.Model, x: np.ndarray) -> np.ndarray:
    """What the .tflite file of a model gives for these inputs."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.tflite"
        tfopt.export(model, path)
        (outputs,) = tfopt.runtimes.run(path, x).values.values()
    return outputs


def row(name: str, model: keras.Model, test: Data, reference: float, minutes: Minutes) -> tuple[str, ...]:
    """Accuracy in Keras and on the file, and the loss against float in points."""
    file = 100.0 * float(np.mean(np.argmax(shipped(model, test[0]), axis=-1) == test[1]))
    figures = (accuracy(model, test), file)
    print(f"{name}: {figures[0]:.2f} % in Keras, {figures[1]:.2f} % of the file", flush=True)
    return (name, *(f"{figure:.2f} %" for figure in figures), f"{reference - file:.2f}", str(minutes))


COLUMNS = ("model", "Keras", ".tflite", "points below float", "CPU minutes")


def run_ptq() -> None:
    """A row for each way to quantize without training."""
    data, test = load_data()
    model = float_model(*data)
    reference, rows = accuracy(model, test), []
    chosen = np.random.default_rng(FLAGS.seed).choice(len(data[0]), FLAGS.calibration, replace=False)
    minutes = Minutes()
    for name, quantized in contenders(model, data[0][chosen]):
        rows.append(row(name, quantized, test, reference, minutes))
        minutes = Minutes()
    title = (
        f"Post-training quantization of ResNet8, weights of {FLAGS.weight_bits} bits; float {reference:.2f} %"
    )
    print(Table(title, COLUMNS, tuple(rows), (f"{len(test[1]):,} test images.",)))


def run_qat() -> None:
    """Quantization-aware training, from the float model."""
    data, test = load_data()
    model = float_model(*data)
    reference, minutes = accuracy(model, test), Minutes()
    scheme = config(observer=FLAGS.observer, method=FLAGS.range_method)
    quantized = tfopt.quantize(model, data[0][: FLAGS.calibration], scheme)
    rows = [row("before training", quantized, test, reference, minutes)]
    minutes = Minutes()
    teacher = cached(model, *data, FLAGS.epochs) if FLAGS.distil and FLAGS.epochs else None
    batches = Augmented(*data, FLAGS.seed, period=max(1, FLAGS.epochs))
    callbacks = [tfopt.Clustering(FLAGS.clusters)] if FLAGS.clusters else []
    train_with(teacher, quantized, batches, FLAGS.epochs, FLAGS.learning_rate, callbacks)
    rows.append(row(f"after {FLAGS.epochs} epochs", quantized, test, reference, minutes))
    how = ", distilled" if FLAGS.distil else ""
    how += f", {FLAGS.clusters} codes" if FLAGS.clusters else ""
    title = f"Training of ResNet8 with weights of {FLAGS.weight_bits} bits{how}; float {reference:.2f} %"
    print(Table(title, COLUMNS, tuple(rows), (f"{len(test[1]):,} test images.",)))


def run_autoencoder() -> None:
    """Mean squared error of the reconstruction, float against int8."""
    model = keras.models.load_model(find("ad01.h5"), compile=False)
    rng = np.random.default_rng(FLAGS.seed)
    x, samples = (rng.normal(size=(rows, 640)).astype("float32") for rows in (5000, FLAGS.calibration))

    def error(outputs: np.ndarray) -> float:
        return float(np.mean((outputs - x) ** 2))

    reference = error(model.predict(x, batch_size=500, verbose=0))
    rows = []
    for name, quantized in contenders(model, samples):
        figures = error(quantized.predict(x, batch_size=500, verbose=0)), error(shipped(quantized, x))
        change = f"{100 * (figures[1] / reference - 1):+.2f} %"
        print(f"{name}: {change}", flush=True)
        rows.append((name, *(f"{figure:.2f}" for figure in figures), change))
    columns = ("model", "Keras", ".tflite", "over float")
    title = f"Reconstruction error of the autoencoder; float {reference:.2f}"
    print(Table(title, columns, tuple(rows), (f"{len(x):,} random normal inputs.",)))


def main(_: list[str]) -> None:
    keras.utils.set_random_seed(FLAGS.seed)
    {"ptq": run_ptq, "qat": run_qat, "autoencoder": run_autoencoder}[FLAGS.what]()


if __name__ == "__main__":
    app.run(main)
