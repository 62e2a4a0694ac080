"""What quantization-aware training costs: CPU time of a training step, against plain Keras and tfmot, in one run.

    python -m tests.benchmarks.training_cost

ResNet8 of MLPerf Tiny, batch 64, on random images. All contenders take turns in one process; each figure is the median
over rounds of the process's CPU time.
"""

import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import statistics
import time
import warnings
from collections.abc import Callable
from typing import Any

import keras
import numpy as np

import tfopt
from tfopt._report import Table

BATCH, STEPS, ROUNDS = 64, 8, 5


def resnet8(library: Any) -> Any:
    """The image classification network of MLPerf Tiny (78,666 parameters), in Keras 3 or Keras 2."""
    layers = library.layers

    def convolution(x: Any, filters: int, size: int, strides: int) -> Any:
        x = layers.Conv2D(filters, size, strides=strides, padding="same")(x)
        return layers.BatchNormalization()(x)

    inputs = library.Input((32, 32, 3))
    x = layers.Activation("relu")(convolution(inputs, 16, 3, 1))
    for filters, strides in ((16, 1), (32, 2), (64, 2)):
        y = layers.Activation("relu")(convolution(x, filters, 3, strides))
        y = convolution(y, filters, 3, 1)
        if strides > 1:
            x = layers.Conv2D(filters, 1, strides=strides, padding="same")(x)
        x = layers.Activation("relu")(layers.Add()([x, y]))
    x = layers.Flatten()(layers.AveragePooling2D(8)(x))
    return library.Model(inputs, layers.Dense(10, activation="softmax")(x))


def contenders(x: np.ndarray, y: np.ndarray) -> dict[str, Callable[[], Any]]:
    """One function each that trains an epoch on the same batches."""
    import tensorflow_model_optimization as tfmot
    import tf_keras

    plain, quantized = resnet8(keras), tfopt.quantize(resnet8(keras), calibration=x[:BATCH])
    theirs = tfmot.quantization.keras.quantize_model(resnet8(tf_keras))
    theirs.compile("adam", "sparse_categorical_crossentropy")
    for model in (plain, quantized):
        model.compile("adam", "sparse_categorical_crossentropy", jit_compile=False)
    models = {"plain Keras 3": plain, "tfopt.quantize": quantized, "tfmot quantize_model": theirs}
    return {name: lambda model=model: model.fit(x, y, BATCH, verbose=0) for name, model in models.items()}


def measure() -> dict[str, float]:
    """Median CPU seconds a step of each contender."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(BATCH * STEPS, 32, 32, 3)).astype("float32")
    y = rng.integers(0, 10, BATCH * STEPS)
    runs = contenders(x, y)
    times: dict[str, list[float]] = {name: [] for name in runs}
    for round_ in range(ROUNDS + 1):
        for name, run in runs.items():
            start = time.process_time()
            run()
            if round_:  # the first round traces
                times[name].append((time.process_time() - start) / STEPS)
    return {name: statistics.median(values) for name, values in times.items()}


def main() -> None:
    """Prints the figures."""
    warnings.simplefilter("ignore")
    seconds = measure()
    base = seconds["plain Keras 3"]
    rows = tuple((name, f"{1000 * value:.1f}", f"{value / base:.2f}") for name, value in seconds.items())
    print(Table("Quantization-aware training: CPU time a step, ResNet8, batch 64", ("", "ms", "ratio"), rows))


if __name__ == "__main__":
    main()
