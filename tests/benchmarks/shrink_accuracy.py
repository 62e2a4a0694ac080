"""What removing channels costs in accuracy and brings in time: ResNet8 on CIFAR-10, half of the MACs, an int8 file.

    TFOPT_TEST_DATA=folder python -m tests.benchmarks.shrink_accuracy --macs=0.5

MLPerf Tiny's ResNet8, fine-tuned (`cifar10.float_model`), is shrunk, trained for `--epochs` with the float model as
the teacher, then for `--qat_epochs` on the int8 grid, in the batches and the augmentation of `pruning_accuracy`. The
int8 file of the network that was not shrunk is timed in the same run, call by call in turns.
"""

import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import tempfile
from pathlib import Path

import keras
import numpy as np
from absl import app, flags

import tfopt
from tests.benchmarks import cifar10
from tfopt.runtimes import measure_latency

_MACS = flags.DEFINE_float("macs", 0.5, "The part of the multiply-accumulates that is left.")
_CRITERION = flags.DEFINE_string("criterion", "magnitude", "As for shrink.")
_DIVISOR = flags.DEFINE_integer("divisor", 8, "As for shrink.")
_WHERE = flags.DEFINE_string("where", None, "As for shrink.")
_EPOCHS = flags.DEFINE_integer("epochs", 8, "Epochs of recovery.")
_QAT_EPOCHS = flags.DEFINE_integer("qat_epochs", 4, "Epochs of quantization-aware training after it.")
_LEARNING_RATE = flags.DEFINE_float("learning_rate", 1e-3, "At the start of recovery; falls on a cosine.")
_QAT_LEARNING_RATE = flags.DEFINE_float("qat_learning_rate", 3e-4, "The same for the training after it.")
_ROUNDS = 21


def exported(model: keras.Model, name: str, folder: str) -> Path:
    """The quantized model as a file."""
    path = Path(folder) / f"{name}.tflite"
    tfopt.export(model, path)
    return path


def latencies(paths: dict[str, Path]) -> dict[str, float]:
    """Milliseconds of one call of each file: the median over rounds in which all take turns."""
    times: dict[str, list[float]] = {name: [] for name in paths}
    for _ in range(_ROUNDS):
        for name, path in paths.items():
            times[name].append(measure_latency(path, runs=50).median_ms)
    return {name: float(np.median(values)) for name, values in times.items()}


def main(_: list[str]) -> None:
    """Shrink, train, quantize, time and print."""
    keras.utils.set_random_seed(cifar10.FLAGS.seed)
    (x, y), test = cifar10.load_data()
    epochs = _EPOCHS.value + _QAT_EPOCHS.value
    batches = cifar10.Augmented(x, y, cifar10.FLAGS.seed, period=epochs)
    teacher = cifar10.compiled(cifar10.float_model(x, y), 0.0, 1)  # some criteria read its loss
    cache = cifar10.cached(teacher, x, y, epochs)
    minutes = cifar10.Minutes()
    small = tfopt.shrink(
        teacher,
        macs=_MACS.value,
        criterion=_CRITERION.value,
        where=_WHERE.value,
        divisor=_DIVISOR.value,
        data=(x[:512], y[:512]),
    )
    print(small.report)
    cifar10.train_with(cache, small, batches, _EPOCHS.value, _LEARNING_RATE.value)
    scores = {"float": cifar10.accuracy(teacher, test), "shrunk": cifar10.accuracy(small, test)}
    student = tfopt.quantize(small, calibration=x[:512])
    cifar10.train_with(cache, student, batches, _QAT_EPOCHS.value, _QAT_LEARNING_RATE.value)
    used = str(minutes)
    with tempfile.TemporaryDirectory() as folder:
        dense = tfopt.quantize(teacher, calibration=x[:512])
        paths = {"dense": exported(dense, "dense", folder), "shrunk": exported(student, "shrunk", folder)}
        for name, row in zip(paths, tfopt.compare(paths, *test).rows, strict=True):
            scores[f"int8, {name}"] = 100.0 * (row.metric or 0.0)
        times = latencies(paths)
        sizes = {name: path.stat().st_size for name, path in paths.items()}
    print(f"\nmacs={_MACS.value}, {_CRITERION.value}, divisor {_DIVISOR.value}, where {_WHERE.value}")
    for name, score in scores.items():
        print(f"{name:<14}{score:8.2f} %{score - scores['float']:+8.2f}")
    for name, time in times.items():
        print(f"{name:<8}{time:8.3f} ms a call, {sizes[name]:,} bytes; {times['dense'] / time:.2f} x as fast")
    print(f"epochs: {_EPOCHS.value} + {_QAT_EPOCHS.value}; CPU minutes: {used}")


if __name__ == "__main__":
    app.run(main)
