"""Shrinks the networks of `keras.applications` to half of their channels, checks and exports them in int8.

    python -m tests.benchmarks.shrink_applications            # all 40, a process each
    python -m tests.benchmarks.shrink_applications ResNet50   # this one, in this process

A network passes if the shrunk model's outputs equal those of the original with the same channels zeroed to 1e-4 of the
largest value, its parameters and MACs are those predicted, and its int8 file agrees with the quantized model to within
two steps on 99 % of the outputs and computes nothing in float but what the quantization report names. Inputs are small.
The difference from the dense model is printed beside it: where it is small, the test would show little.
"""

import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import keras
import numpy as np

import tfopt
from tests.benchmarks import applications
from tests.models import trained_like
from tests.shrinking.equality import masked
from tfopt.channels import channel_groups
from tfopt.graph import capture
from tfopt.shrinking import count_macs, cut, keep_ratio, report_of, score, update_batch_norm

SIZE = 32


def check(name: str, ratio: float = 0.5) -> bool:
    """Shrinks one network; prints a line and returns whether it passes."""
    keras.utils.set_random_seed(0)
    model = trained_like(applications.untrained(name, SIZE))
    x = np.random.default_rng(0).uniform(0, 255, (16, *model.input_shape[1:])).astype("float32")
    for weight in model.weights:
        if "layer_scale" in weight.path:
            # They begin at 1e-6, which would hide what is behind them.
            weight.assign(np.full(weight.shape, 0.5))
    update_batch_norm(model, x)  # so that the signal reaches the outputs
    start = time.process_time()
    channels = channel_groups(capture(model))
    kept = keep_ratio(channels, score(channels), ratio)
    small = cut(channels, kept)
    seconds = time.process_time() - start
    report = report_of(channels, kept)

    expected, actual = np.asarray(masked(channels, kept)(x)), np.asarray(small(x))
    effect = float(np.abs(actual - np.asarray(model(x))).max() / np.abs(expected).max())
    difference = float(np.abs(actual - expected).max() / np.abs(expected).max())
    predicted = (small.count_params(), count_macs(small)) == (report.params[1], report.macs[1])
    passed = difference <= 1e-4 and effect >= 1e-2 and predicted and bool(np.isfinite(expected).all())
    exported, words = export(small, x)
    kept_whole = sum(bool(row.reason) for row in report.layers)
    params, macs = (after / before for before, after in (report.params, report.macs))
    print(
        f"{name:18} {'pass' if passed and exported else 'FAIL'}  difference {difference:.1e} (from the dense one "
        f"{effect:.1e})  parameters {params:4.0%}  MACs {macs:4.0%}  as predicted: {predicted}  "
        f"{seconds:5.1f} s CPU  {kept_whole} layers kept whole  {words}",
        flush=True,
    )
    return passed and exported


def export(model: Any, x: Any) -> tuple[bool, str]:
    """Writes the int8 file of a shrunk model; whether it agrees with its simulation, and its figures."""
    tfopt.update_batch_norm(model, x)
    quantized = tfopt.quantize(model, calibration=x)
    named = {row.kind for row in quantized.report.layers if row.done == "float"}
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.tflite"
        report = tfopt.export(quantized, path)
        (output,) = tfopt.verify(quantized, path, x, tolerance=2).outputs
    passed = output.within_2 >= 0.99 and (not report.float_operators or bool(named))
    floats = ", ".join(f"{count} {op}" for op, count in report.float_operators.items())
    words = f"int8: {report.size.raw:,} bytes, bit-equal {output.equal:.0%}, within 2 {output.within_2:.0%}"
    return passed, words + (f", float: {floats} (report: {', '.join(sorted(named))})" if floats else "")


if __name__ == "__main__":
    sys.exit(applications.run("tests.benchmarks.shrink_applications", check))
