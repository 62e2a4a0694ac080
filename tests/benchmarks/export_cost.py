"""What the tools cost: CPU time to quantize, export, predict and verify, against TensorFlow's own tools, in one run.

    python -m tests.benchmarks.export_cost              # all networks, a process each
    python -m tests.benchmarks.export_cost ResNet8      # this one, in this process

The yardsticks are the TFLite converter's post-training quantization of the same float model on the same samples, and
the float model's own first `predict`, which traces it. Batch norms have the statistics of a trained model.
"""

import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import keras
import numpy as np

import tfopt
from tests.benchmarks.peers.networks import resnet8
from tests.models import trained_like
from tfopt._report import Table

SAMPLES, VERIFIED = 64, 60


def _mobilenet_v2(alpha: float) -> keras.Model:
    return keras.applications.MobileNetV2((96, 96, 3), alpha, weights=None, classes=10)


NETWORKS: dict[str, Callable[[], keras.Model]] = {
    "ResNet8": lambda: resnet8(keras),
    "MobileNetV2-0.35": lambda: _mobilenet_v2(0.35),
    "MobileNetV2-1.0": lambda: _mobilenet_v2(1.0),
}


def seconds(function: Callable[[], Any]) -> float:
    """CPU seconds of a call."""
    start = time.process_time()
    function()
    return time.process_time() - start


def post_training(model: keras.Model, x: np.ndarray) -> bytes:
    """The int8 file that TensorFlow's converter makes of a float model."""
    import tensorflow as tf

    def representative() -> Iterator[list[np.ndarray]]:
        for sample in x:
            yield [sample[None]]

    converter = tf.lite.TFLiteConverter.from_keras_model(model)
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    converter.representative_dataset = representative
    converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
    converter.inference_input_type = converter.inference_output_type = tf.int8
    return converter.convert()


def measure(name: str) -> dict[str, float]:
    """CPU seconds of each step, in the order in which a user takes them."""
    model = trained_like(NETWORKS[name]())
    x = np.random.default_rng(1).normal(size=(SAMPLES, *model.input_shape[1:])).astype("float32")
    _warm_up()
    found: dict[str, float] = {}
    found["converter"] = seconds(lambda: post_training(model, x))
    found["float first"] = seconds(lambda: model.predict(x, verbose=0))
    quantized: list[keras.Model] = []
    found["quantize"] = seconds(lambda: quantized.append(tfopt.quantize(model, x)))
    (q,) = quantized
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "q.tflite"
        found["export"] = seconds(lambda: tfopt.export(q, path))
        found["verify"] = seconds(lambda: tfopt.verify(q, path, x[:VERIFIED]))
    found["first predict"] = seconds(lambda: q.predict(x, verbose=0))
    found["second predict"] = seconds(lambda: q.predict(x, verbose=0))
    q.layers[1].set_weights([2.0 * weight for weight in q.layers[1].get_weights()])
    found["predict after a change"] = seconds(lambda: q.predict(x, verbose=0))
    found["float second"] = seconds(lambda: model.predict(x, verbose=0))
    return found


def _warm_up() -> None:
    """Imports and one-time work, which would count for whoever comes first."""
    model = keras.Sequential([keras.Input((4, 4, 1)), keras.layers.Conv2D(2, 3), keras.layers.Flatten()])
    x = np.ones((4, 4, 4, 1), "float32")
    model.predict(x, verbose=0)
    post_training(model, x)
    q = tfopt.quantize(model, x)
    q.predict(x, verbose=0)
    with tempfile.TemporaryDirectory() as folder:
        tfopt.export(q, Path(folder) / "q.tflite")


def report(name: str) -> None:
    """Prints the figures of a network, each as a ratio to its yardstick."""
    found = measure(name)
    found["quantize + export"] = found["quantize"] + found["export"]
    goals = (
        ("quantize", "converter", ""),
        ("export", "converter", ""),
        ("quantize + export", "converter", "<= 0.7"),
        ("verify", "quantize + export", "<= 1"),
        ("first predict", "float first", "<= 3"),
        ("predict after a change", "float first", ""),
        ("second predict", "float second", ""),
    )
    rows = tuple(
        (what, f"{found[what]:.2f}", f"{found[what] / found[base]:.2f} of {base} ({found[base]:.2f})", goal)
        for what, base, goal in goals
    )
    print(Table(f"Cost of the tools: {name}", ("what", "CPU s", "ratio", "goal"), rows), flush=True)


def main(names: list[str]) -> None:
    """Prints the figures."""
    warnings.simplefilter("ignore")
    if names:
        report(*names)
        return
    for name in NETWORKS:
        subprocess.run([sys.executable, "-m", "tests.benchmarks.export_cost", name], check=True)


if __name__ == "__main__":
    main(sys.argv[1:])
