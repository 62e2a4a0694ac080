"""What becomes of the networks that people bring: int8 files with no float operator, on three runtimes.

    python -m tests.benchmarks.networks                 # all, as the table of docs/networks.md
    python -m tests.benchmarks.networks "Swin blocks"   # this one

Each is quantized with `strict=True` for LiteRT and for Ethos-U, whose file TFLite Micro runs and Vela compiles for an
Ethos-U55. Held samples go through each file; accuracy is in decibels of the outputs against the float network.
"""

import os
import sys
import tempfile
from collections import Counter
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np

import tfopt
from tests.models import trained_like
from tests.networks import LARGE, NETWORKS, Network
from tfopt.runtimes import CpuOperator, estimate_npu

_SAMPLES = 48


def halves(samples: Any) -> tuple[Any, Any]:
    """Samples to calibrate with, and those to measure with."""
    middle = len(keras.tree.flatten(samples)[0]) // 2
    first = keras.tree.map_structure(lambda array: array[:middle], samples)
    return first, keras.tree.map_structure(lambda array: array[middle:], samples)


def decibels(exact: np.ndarray, found: np.ndarray) -> float:
    """The power of what is right over that of the error."""
    return float(10 * np.log10((exact**2).sum() / ((exact - found) ** 2).sum()))


def measured(network: Network, target: str, path: Path) -> tuple[float, float, int]:
    """Writes a file for a target; the share of its outputs that are the simulation's, decibels, and its size."""
    keras.utils.set_random_seed(0)
    model = trained_like(network.make())
    calibration, held = halves(network.samples(model, _SAMPLES))
    q = tfopt.quantize(model, calibration, tfopt.QuantConfig.for_target(target), strict=True)
    exported = tfopt.export(q, path, strict=True)
    if exported.float_operators:
        raise RuntimeError(f"{path}: {exported.float_operators}")
    (output,) = tfopt.verify(q, path, held).outputs
    exact, found = (each.predict(held, verbose=0) for each in (model, q))
    return output.equal, decibels(exact, found), path.stat().st_size


def on_cpu(operators: tuple[CpuOperator, ...]) -> str:
    """What Vela leaves to the CPU, by name."""
    counts = Counter(op.operator for op in operators)
    return ", ".join(f"{count} {name}" for name, count in counts.items()) or "none"


def main() -> None:
    names = sys.argv[1:] or [*NETWORKS, *LARGE]
    reasons: dict[tuple[str, str], None] = {}
    print("| network | LiteRT: equal | dB | bytes | TFLM: equal | dB | bytes | U55: operators | on its CPU |")
    print("|:--|--:|--:|--:|--:|--:|--:|--:|:--|", flush=True)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.tflite"
        for name in names:
            network = {**NETWORKS, **LARGE}[name]
            cells = [
                f"{equal:.0%} | {db:.1f} | {size:,}"
                for equal, db, size in (measured(network, target, path) for target in ("litert", "ethos-u"))
            ]
            report = estimate_npu(path, "ethos-u55-128")
            reasons |= {(op.operator, op.reason.partition(" (")[0]): None for op in report.cpu}
            print(f"| {name} | {' | '.join(cells)} | {report.operators} | {on_cpu(report.cpu)} |", flush=True)
    print()
    for operator, reason in reasons:
        print(f"- {operator}: {reason.rstrip('.') or 'no reason given'}.")


if __name__ == "__main__":
    main()
