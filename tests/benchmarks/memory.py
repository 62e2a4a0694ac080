"""What memory a large model takes on Linux: the peak of each stage, as a multiple of the float32 weights.

python -m tests.benchmarks.memory

100 million parameters in dense layers, 400 MB. Each row is a process of its own that makes the model, goes as far as
that stage, and reads the peak that the operating system has counted; what Python, Keras and TensorFlow take without a
model is taken off.
"""

import argparse
import gc
import os
import subprocess
import sys
import tempfile
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np

import tfopt
from tfopt._report import Table

ALONE = ", the float model let go"
TRAINED = "fit, quantized and pruned"
STAGES = (
    "model",
    "fit, float",
    "fit, float, Adam",
    "fit, pruned",
    "quantize",
    "fit, quantized",
    TRAINED,
    TRAINED + ALONE,
    TRAINED + ", Adam" + ALONE,
    "export",
    "export, trained" + ALONE,
)


def held(name: str) -> float:
    """Memory of this process in MB: `VmRSS`, now, or `VmHWM`, the most since `forget_peak`."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) / 1000 for line in lines if line.startswith(name + ":"))


def forget_peak() -> None:
    """Lets `VmHWM` start from what is held now (proc(5), clear_refs)."""
    Path("/proc/self/clear_refs").write_text("5")


def warmed_up(samples: np.ndarray) -> None:
    """All stages with a tiny model: what libraries load once is no part of a model's memory."""
    run(8, samples, TRAINED)
    run(8, samples, "export")


def network(units: int, inputs: int, layers: int = 6) -> keras.Model:
    """Dense layers of one width."""
    dense = [keras.layers.Dense(units, "relu") for _ in range(layers)]
    return keras.Sequential([keras.Input((inputs,)), *dense, keras.layers.Dense(10)])


def fit(model: keras.Model, samples: np.ndarray, pruned: bool, adam: bool = False) -> None:
    """One step, with Adam's two moments of each weight or none."""
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    optimizer = keras.optimizers.Adam(0.01) if adam else keras.optimizers.SGD(0.01)
    model.compile(optimizer, loss, jit_compile=False)
    callbacks = [tfopt.Pruning(tfopt.ConstantSparsity(0.5))] if pruned else []
    model.fit(samples, np.zeros(len(samples), "int32"), verbose=0, callbacks=callbacks)


def run(units: int, samples: np.ndarray, stage: str) -> None:
    """Makes a model and goes as far as that stage."""
    model = network(units, samples.shape[1])
    if stage == "model":
        return
    if "quantized" in stage or not stage.startswith("fit"):
        q = tfopt.quantize(model, samples)
        if stage.endswith(ALONE):
            del model
            gc.collect()  # layers and models refer to each other
    else:
        q = model
    if stage.startswith("fit"):
        fit(q, samples, "pruned" in stage, "Adam" in stage)
    if "trained" in stage:
        fit(q, samples, pruned=True)
    if stage.startswith("export"):
        with tempfile.TemporaryDirectory() as folder:
            tfopt.export(q, Path(folder) / "model.tflite")


def measure(stage: str) -> None:
    """Prints the peak beyond that of the libraries, in MB."""
    samples = np.random.default_rng(0).normal(size=(4, 64)).astype("float32")
    warmed_up(samples)
    forget_peak()
    before = held("VmRSS")
    run(4360, samples, stage)
    print("peak", before, held("VmHWM"))


def main() -> None:
    """A row for each stage."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--stage", choices=STAGES)
    stage = parser.parse_args().stage
    if stage:
        measure(stage)
        return
    weights = network(4360, 64).count_params() * 4 / 1e6
    print(f"{weights:.0f} MB of weights")
    rows = []
    for name in STAGES:
        command = [sys.executable, "-m", "tests.benchmarks.memory", "--stage", name]
        lines = subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()
        before, after = next(map(float, line.split()[1:]) for line in lines if line.startswith("peak"))
        rows.append((name, f"{after:.0f}", f"{after - before:.0f}", f"{(after - before) / weights:.2f} x"))
        print(rows[-1], flush=True)
    columns = ("as far as", "peak, MB", "beyond the libraries, MB", "of the weights")
    print(Table("Memory of 100 million parameters", columns, tuple(rows)))


if __name__ == "__main__":
    main()
