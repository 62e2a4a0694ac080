"""What low rank costs where convolutions are taken apart: ResNet8 on CIFAR-10 with part of its multiplications.

    TFOPT_TEST_DATA=/folder python -m tests.benchmarks.factorize_convolutions --macs=0.5 --methods=tucker,cp

The float network is that of `cifar10.py` beside this file; each method takes it apart, it is trained again on flipped
and shifted images, with the whole network as its teacher if `--distil`, and quantized without training. The latency
is that of the int8 file on one thread of this machine, in CPU time, all files in turns.
"""

import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import tempfile
from pathlib import Path

import keras
import numpy as np
from absl import app, flags

import tfopt
from tests.benchmarks import cifar10
from tfopt._report import Table
from tfopt.runtimes import measure_latency

_MACS = flags.DEFINE_float("macs", 0.5, "The part of the multiply-accumulates that is left.")
_METHODS = flags.DEFINE_list("methods", ["tucker", "cp"], "As for factorize.")
_EPOCHS = flags.DEFINE_integer("epochs", 8, "Epochs of training behind it.")
_RATE = flags.DEFINE_float("learning_rate", 1e-3, "Its first learning rate; falls on a cosine.")
_DISTIL = flags.DEFINE_bool("distil", False, "Let the whole network teach.")


def main(_: list[str]) -> None:
    """Take apart, train, quantize, and print a row for each method."""
    keras.utils.set_random_seed(cifar10.FLAGS.seed)
    (x, y), test = cifar10.load_data()
    whole = cifar10.float_model(x, y)
    helper = cifar10.cached(whole, x, y, _EPOCHS.value) if _DISTIL.value else None
    rows: list[tuple[str, ...]] = []
    paths: dict[str, Path] = {}
    folder = Path(tempfile.mkdtemp())
    for name in ("as it was", *_METHODS.value):
        model, before = whole, cifar10.accuracy(whole, test)
        if name != "as it was":
            model = tfopt.factorize(whole, macs=_MACS.value, method=name, calibration=x[:1024])
            print(model.report)
            before = cifar10.accuracy(model, test)
            batches = cifar10.Augmented(x, y, cifar10.FLAGS.seed, period=max(1, _EPOCHS.value))
            cifar10.train_with(helper, model, batches, _EPOCHS.value, _RATE.value)
        paths[name] = folder / f"{name}.tflite"
        tfopt.export(tfopt.quantize(model, x[:512]), paths[name])
        file = tfopt.compare({name: paths[name]}, *test).rows[0].metric or 0.0
        figures = (before, cifar10.accuracy(model, test), 100.0 * file)
        rows.append((name, f"{tfopt.count_macs(model):,}", *(f"{figure:.2f} %" for figure in figures)))
    times: dict[str, list[float]] = {name: [] for name in paths}
    for _turn in range(5):
        for name, path in paths.items():
            times[name].append(measure_latency(path, runs=100, own_time=True).median_ms)
    ends = [(f"{paths[row[0]].stat().st_size:,}", f"{np.median(times[row[0]]):.3f} ms") for row in rows]
    columns = ("method", "macs", "taken apart", "trained", "int8 file", "bytes", "latency")
    how = ", distilled" if _DISTIL.value else ""
    title = f"ResNet8 with {_MACS.value:.0%} of its multiplications, {_EPOCHS.value} epochs{how}"
    print(Table(title, columns, tuple(row + end for row, end in zip(rows, ends, strict=True))))


if __name__ == "__main__":
    app.run(main)
