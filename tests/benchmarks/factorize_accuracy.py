"""What low rank costs: MLPerf Tiny's autoencoder with half of its parameters, trained again, and as an int8 file.

    python -m tests.benchmarks.factorize_accuracy --params=0.5

The network is trained on made spectra (`peers/tasks.py`: low rank and noise, 8,000 of them), factorized, and trained
again for as many epochs; a second copy of the large network is trained on for those epochs too. The error is the mean
squared one of 2,000 held spectra.
"""

import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import tempfile
from pathlib import Path

import keras
import numpy as np
from absl import app, flags

import tfopt
from tests.benchmarks.cifar10 import copy_of
from tests.benchmarks.peers import networks
from tests.benchmarks.peers.tasks import spectra
from tfopt._report import Table

_PARAMS = flags.DEFINE_float("params", 0.5, "The part of the parameters that is left.")
_EPOCHS = flags.DEFINE_integer("epochs", 20, "Epochs of each training.")
_QAT_EPOCHS = flags.DEFINE_integer("qat_epochs", 5, "Epochs on the int8 grid.")
_CALIBRATION = flags.DEFINE_integer("calibration", 1024, "Spectra to factorize by; 0 for the kernels alone.")


def train(model: keras.Model, x: np.ndarray, epochs: int, rate: float) -> keras.Model:
    """Adam on a cosine, mean squared error."""
    steps = epochs * (len(x) // 128)
    model.compile(keras.optimizers.Adam(keras.optimizers.schedules.CosineDecay(rate, steps)), "mse")
    model.fit(x, x, batch_size=128, epochs=epochs, verbose=0)
    return model


def error(model: keras.Model, x: np.ndarray) -> float:
    """Mean squared error of the reconstruction."""
    return float(np.mean((model.predict(x, batch_size=500, verbose=0) - x) ** 2))


def error_of_file(model: keras.Model, x: np.ndarray) -> tuple[float, int]:
    """The same of the .tflite file, and its bytes."""
    path = Path(tempfile.mkdtemp()) / "model.tflite"
    tfopt.export(model, path)
    (outputs,) = tfopt.runtimes.run(path, x).values.values()
    return float(np.mean((outputs - x) ** 2)), path.stat().st_size


def main(_: list[str]) -> None:
    keras.utils.set_random_seed(flags.FLAGS.seed)
    x, _, test, _ = spectra()
    first = train(networks.autoencoder(keras), x, _EPOCHS.value, 1e-3)
    large = train(copy_of(first), x, _EPOCHS.value, 1e-3)
    samples = x[: _CALIBRATION.value] if _CALIBRATION.value else None
    cut = tfopt.factorize(first, params=_PARAMS.value, calibration=samples)
    print(cut.report)
    before = error(cut, test)
    small = train(cut, x, _EPOCHS.value, 1e-3)
    reference, rows = error(large, test), []
    for name, model in (("as it was", large), ("factorized", small)):
        q = train(tfopt.quantize(model, x[:512]), x, _QAT_EPOCHS.value, 1e-4)
        file, size = error_of_file(q, test)
        figures = (error(model, test), file)
        changes = (f"{value:.5f} ({100 * (value / reference - 1):+.1f} %)" for value in figures)
        rows.append((name, f"{model.count_params():,}", *changes, f"{size:,}"))
    columns = ("network", "parameters", "error, float", "error, int8 file", "bytes of the file")
    notes = (f"Right after factorizing: {before:.5f}.", f"Variance of the spectra: {np.var(test):.5f}.")
    print(Table("Reconstruction by the autoencoder", columns, tuple(rows), notes))


if __name__ == "__main__":
    app.run(main)
