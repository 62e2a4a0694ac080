"""What `quantize` and `export` cost as models grow: CPU time and memory per layer, from 10 to 1,000 layers.

    python -m tests.benchmarks.scaling_cost --depths=10,30,100,300,1000

Each depth runs in a process of its own, on tiny Conv2D + BatchNormalization + ReLU layers: a plain chain of them, and
one with a residual addition around every second layer. Linear means that the figures per layer stay level. Keras' own
`clone_model` and TensorFlow's conversion of the same float network stand beside ours: what grows there is not ours.
"""

import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import json
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np
from absl import app, flags
from keras import layers

import tfopt
from tfopt._report import Table
from tfopt.conversion._convert import convert
from tfopt.conversion._lower import lower
from tfopt.graph import deep_recursion

FLAGS = flags.FLAGS
flags.DEFINE_list("depths", ["10", "30", "100", "300", "1000"], "Numbers of layers to measure.")
flags.DEFINE_list("nets", ["chain", "residual"], "Which networks to measure.")
flags.DEFINE_string("one", None, "Measure this network and depth in this process, as net:depth; prints JSON.")


def network(depth: int, residual: bool) -> keras.Model:
    """`depth` convolutions of 4 channels with batch norm and ReLU, and a small Dense layer at the end."""
    x = inputs = keras.Input((4, 4, 3))
    shortcut: Any = None
    for index in range(depth):
        x = layers.BatchNormalization()(layers.Conv2D(4, 1, use_bias=False)(x))
        if residual and index % 2 == 0:
            shortcut, x = x, layers.ReLU()(x)
        elif residual:
            x = layers.ReLU()(layers.Add()([x, shortcut]))
        else:
            x = layers.ReLU()(x)
    return keras.Model(inputs, layers.Dense(2)(layers.GlobalAveragePooling2D()(x)))


def measure(name: str, depth: int) -> dict[str, tuple[float, float]]:
    """Step -> (CPU seconds, growth of the process' peak memory in MiB)."""
    figures: dict[str, tuple[float, float]] = {}

    def timed(step: str, function: Callable[[], Any]) -> Any:
        peak, start = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.process_time()
        result = function()
        grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - peak
        figures[step] = (time.process_time() - start, grown / 1024)
        return result

    x = np.random.default_rng(0).normal(size=(32, 4, 4, 3)).astype("float32")
    # A first round on a tiny network, so that what happens once a process is not counted.
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.tflite"
        tfopt.export(tfopt.quantize(network(1, False), calibration=x), path)
        with deep_recursion(4 * depth):  # what Keras needs of itself
            model = timed("build", lambda: network(depth, name == "residual"))
            timed("clone", lambda: keras.models.clone_model(model))
        quantized = timed("quantize", lambda: tfopt.quantize(model, calibration=x))
        lowered = timed("lower", lambda: lower(quantized, 1))
        timed("convert", lambda: convert(lowered, integer=True))
        timed("export", lambda: tfopt.export(quantized, path))
        with deep_recursion(4 * depth):
            timed("float", lambda: convert(model, integer=False))
    return figures


def table(name: str, found: dict[int, dict[str, tuple[float, float]]]) -> Table:
    """Milliseconds and KiB per layer, a row a depth."""
    columns = (
        "layers",
        "clone",
        "quantize",
        "export",
        "of it lower",
        "TF convert",
        "quantize KiB",
        "export KiB",
    )
    rows = []
    for depth, figures in found.items():
        times = [
            f"{1000 * figures[step][0] / depth:.1f}"
            for step in ("clone", "quantize", "export", "lower", "float")
        ]
        memory = [
            f"{1024 * sum(figures[step][1] for step in steps) / depth:.0f}"
            for steps in (("quantize",), ("lower", "convert", "export"))
        ]
        rows.append((f"{depth:,}", *times, *memory))
    notes = (
        "CPU milliseconds per layer; peak memory in KiB per layer.",
        "clone, TF convert: of the float network.",
    )
    return Table(f"Cost per layer: {name}", columns, tuple(rows), notes)


def main(_: list[str]) -> None:
    if FLAGS.one:
        name, depth = FLAGS.one.split(":")
        print(json.dumps(measure(name, int(depth))))
        return
    for name in FLAGS.nets:
        found = {}
        for depth in map(int, FLAGS.depths):
            command = [sys.executable, "-m", "tests.benchmarks.scaling_cost", f"--one={name}:{depth}"]
            done = subprocess.run(command, capture_output=True, text=True, check=True)
            found[depth] = json.loads(done.stdout.strip().splitlines()[-1])
        print(table(name, found), flush=True)


if __name__ == "__main__":
    app.run(main)
