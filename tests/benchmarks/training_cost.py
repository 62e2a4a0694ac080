"""What quantization-aware training costs: CPU time of a training step, against plain Keras and tfmot, in one run.

    python -m tests.benchmarks.training_cost

ResNet8 of MLPerf Tiny, batch 64, and MobileNetV2 at 96 x 96, batch 32, on random images, with XLA and without. All
contenders take turns in one process; each figure is the median over rounds of the process's CPU time.
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
from tests.benchmarks.peers.networks import mobilenet_v2, resnet8
from tfopt._report import Table

STEPS, ROUNDS = 8, 5


# Name -> network, batch size, image size.
NETWORKS: dict[str, tuple[Callable[[Any], Any], int, int]] = {
    "ResNet8, batch 64": (resnet8, 64, 32),
    "MobileNetV2-96, batch 32": (mobilenet_v2, 32, 96),
}


def contenders(
    network: Callable[[Any], Any], x: np.ndarray, y: np.ndarray, batch: int, jit_compile: bool
) -> dict[str, Callable[[], Any]]:
    """One function each that trains an epoch on the same batches."""
    import tensorflow_model_optimization as tfmot
    import tf_keras

    frozen = tfopt.QuantConfig(ranges=tfopt.Ranges(freeze_step=0))
    models = {
        "plain Keras 3": network(keras),
        "tfopt.quantize": tfopt.quantize(network(keras), x[:batch]),
        "tfopt, frozen ranges": tfopt.quantize(network(keras), x[:batch], frozen),
        "tfmot quantize_model": tfmot.quantization.keras.quantize_model(network(tf_keras)),
    }
    for model in models.values():
        model.compile("adam", "sparse_categorical_crossentropy", jit_compile=jit_compile)
    return {name: lambda model=model: model.fit(x, y, batch, verbose=0) for name, model in models.items()}


def measure(network: str, jit_compile: bool) -> dict[str, float]:
    """Median CPU seconds a step of each contender."""
    function, batch, size = NETWORKS[network]
    rng = np.random.default_rng(0)
    x = rng.normal(size=(batch * STEPS, size, size, 3)).astype("float32")
    y = rng.integers(0, 10, batch * STEPS)
    runs = contenders(function, x, y, batch, jit_compile)
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
    for network in NETWORKS:
        for jit_compile in (False, True):
            seconds = measure(network, jit_compile)
            base = seconds["plain Keras 3"]
            rows = tuple(
                (name, f"{1000 * value:.1f}", f"{value / base:.2f}") for name, value in seconds.items()
            )
            title = f"QAT, CPU time a step: {network}, XLA {'on' if jit_compile else 'off'}"
            print(Table(title, ("", "ms", "ratio"), rows), flush=True)


if __name__ == "__main__":
    main()
