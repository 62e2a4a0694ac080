"""How faithful a file is to its simulation on each runtime, and what it costs there, by target.

    TFOPT_TEST_DATA=folder python -m tests.benchmarks.target_fidelity [--only=ResNet8] [--qat]

Networks of microcontrollers are quantized for LiteRT, TFLite Micro and Ethos-U. The first table counts the outputs that
are equal between simulation and file on LiteRT and on TFLite Micro; the second holds Vela's estimates, beside those of
MLPerf Tiny's own int8 files. `--qat` trains MLPerf Tiny's ResNet8 for TFLite Micro instead, and counts the test images
of CIFAR-10 that it gets right in Keras and in TFLite Micro.
"""

import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import dataclasses
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import keras
import numpy as np
from absl import app, flags
from keras import layers

import tfopt
from tests.benchmarks.cifar10 import Augmented, Minutes, accuracy, load_data, train, with_logits
from tests.benchmarks.data_folder import find
from tests.models import samples_for, trained_like
from tests.quantization.battery import u_net
from tfopt._report import Table
from tfopt._text import percent
from tfopt.conversion import ExportReport
from tfopt.runtimes import TFLiteFile, VerifyReport, estimate_npu

FLAGS = flags.FLAGS
flags.DEFINE_string("only", "", "Networks with this in their name.")
flags.DEFINE_integer("samples", 200, "Samples to compare on.", lower_bound=1)
flags.DEFINE_bool("qat", False, "Train ResNet8 for TFLite Micro, and compare its accuracy.")
flags.DEFINE_integer("epochs", 1, "Epochs of that training.", lower_bound=0)
flags.DEFINE_integer("train_images", 20_000, "Images of that training.", lower_bound=1)
flags.DEFINE_float("learning_rate", 1e-4, "First learning rate of that training.", lower_bound=0.0)

TARGETS = ("litert", "tflm", "ethos-u")
RUNTIMES = ("xnnpack", "tflm")
CALIBRATION = 200


def images(size: int = 32) -> tuple[np.ndarray, np.ndarray]:
    """Training images to calibrate with, and test images; larger ones in [-1, 1], as MobileNets take them."""
    (x, _), (x_test, _) = load_data()
    chosen = x[:CALIBRATION], x_test[: FLAGS.samples]
    if size == 32:
        return chosen
    return tuple(
        np.kron(part, np.ones((1, size // 32, size // 32, 1), "float32")) / 127.5 - 1 for part in chosen
    )


def spectra() -> tuple[np.ndarray, np.ndarray]:
    """Made inputs of the autoencoder: normal, three deviations in the range that MLPerf Tiny's int8 file takes."""
    tensor = TFLiteFile.read(find("ad01_int8.tflite")).inputs[0]
    middle, half = (-0.5 - tensor.zero_point) * tensor.scale, 127.5 * tensor.scale
    numbers = np.random.default_rng(FLAGS.seed).normal(size=(CALIBRATION + FLAGS.samples, 640)) / 3.0
    numbers = (middle + half * numbers).astype("float32")
    return numbers[:CALIBRATION], numbers[CALIBRATION:]


def made(model: keras.Model) -> tuple[keras.Model, np.ndarray, np.ndarray]:
    """A network with the spread that training gives weights, and random inputs."""
    samples = samples_for(model, CALIBRATION + FLAGS.samples)
    return trained_like(model), samples[:CALIBRATION], samples[CALIBRATION:]


def mobile_net(name: str, alpha: float) -> tuple[keras.Model, np.ndarray, np.ndarray]:
    """A network of `keras.applications` for images of 96 pixels, with random weights and logits."""
    network = getattr(keras.applications, name)
    settings = {"alpha": alpha, "classes": 10, "classifier_activation": None}
    return trained_like(network((96, 96, 3), weights=None, **settings)), *images(96)


def tcn() -> keras.Model:
    """Four residual blocks of dilated causal convolutions, as on a sensor's signal."""
    x = inputs = keras.Input((64, 8))
    for dilation in (1, 2, 4, 8):
        y = layers.Conv1D(16, 3, padding="causal", dilation_rate=dilation, use_bias=False)(x)
        y = layers.ReLU()(layers.BatchNormalization()(y))
        x = layers.ReLU()(layers.Add()([layers.Conv1D(16, 1)(x), y]))
    return keras.Model(inputs, layers.Dense(4)(layers.GlobalAveragePooling1D()(x)))


@dataclasses.dataclass(frozen=True)
class Network:
    """What is measured: a model with samples to calibrate with and to compare on; and MLPerf Tiny's own int8 file."""

    make: Callable[[], tuple[keras.Model, np.ndarray, np.ndarray]]
    shipped: str = ""


def load(name: str) -> keras.Model:
    return keras.models.load_model(find(name), compile=False)


NETWORKS = {
    "ResNet8": Network(lambda: (load("pretrainedResnet.h5"), *images()), "pretrainedResnet_quant.tflite"),
    "autoencoder": Network(lambda: (load("ad01.h5"), *spectra()), "ad01_int8.tflite"),
    "MobileNetV1-0.25-96": Network(lambda: mobile_net("MobileNet", 0.25)),
    "MobileNetV2-0.35-96": Network(lambda: mobile_net("MobileNetV2", 0.35)),
    "TCN": Network(lambda: made(tcn())),
    "U-Net": Network(lambda: made(u_net())),
}


def measured(name: str, network: Network, folder: str) -> Iterator[tuple[str, ExportReport, VerifyReport]]:
    """Of each target: its name, the file, and the file against its simulation."""
    model, calibration, samples = network.make()
    for target in TARGETS:
        keras.utils.set_random_seed(FLAGS.seed)
        quantized = tfopt.quantize(model, calibration, tfopt.QuantConfig.for_target(target))
        exported = tfopt.export(quantized, Path(folder) / f"{name}-{target}.tflite")
        verified = tfopt.verify(quantized, exported.path, samples, runtime=RUNTIMES, per_tensor=False)
        yield target, exported, verified


def fidelity_row(name: str, target: str, verified: VerifyReport) -> tuple[str, ...]:
    """Shares of equal outputs, the largest difference and the arena."""
    found = {output.runtime: output for output in verified.outputs}
    cells = [
        f"{percent(found[runtime].equal)}, {found[runtime].max_steps}" if runtime in found else "cannot run"
        for runtime in RUNTIMES
    ]
    print(name, target, *cells, verified.failure or "", flush=True)
    return (name, target, *cells, f"{verified.arena_bytes:,}" if verified.arena_bytes else "-")


def npu_row(name: str, target: str, path: str | Path) -> tuple[str, ...]:
    """Vela's figures of a file."""
    report = estimate_npu(path)
    share = f"{percent(report.npu_share)} of {report.operators}"
    sizes = (f"{size / 1024:.1f}" for size in (report.sram_bytes, report.flash_bytes))
    row = (name, target, share, f"{report.cycles:,}", *sizes)
    print(*row, *(f"{op.operator}: {op.reason}" for op in report.cpu), flush=True)
    return row


def run_fidelity() -> None:
    """Both tables."""
    fidelity, npu = [], []
    with tempfile.TemporaryDirectory() as folder:
        for name, network in NETWORKS.items():
            if FLAGS.only not in name:
                continue
            for target, exported, verified in measured(name, network, folder):
                fidelity.append(fidelity_row(name, target, verified))
                npu.append(npu_row(name, target, exported.path))
            if network.shipped:
                npu.append(npu_row(name, "as shipped", find(network.shipped)))
    columns = ("network", "target", *(f"equal on {name}, largest steps" for name in RUNTIMES), "arena bytes")
    notes = (f"{FLAGS.samples} samples; each network for each target. Arena of a 64-bit machine.",)
    print(Table("Outputs that equal those of the simulation", columns, tuple(fidelity), notes))
    columns = ("network", "target", "operators on the NPU", "cycles", "SRAM KiB", "flash KiB")
    print(Table("Vela's estimates for ethos-u55-128", columns, tuple(npu)))


def run_qat() -> None:
    """Trains ResNet8 with TFLite Micro's roundings; Keras and file must give the same codes for all test images."""
    (x, y), (x_test, y_test) = load_data()
    model, minutes = with_logits(load("pretrainedResnet.h5")), Minutes()
    chosen = np.random.default_rng(FLAGS.seed).choice(len(x), min(FLAGS.train_images, len(x)), replace=False)
    quantized = tfopt.quantize(model, x[:CALIBRATION], tfopt.QuantConfig.for_target("tflm"))
    rows = [("float", f"{accuracy(model, (x_test, y_test)):.2f} %", "-", "-", "-")]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.tflite"
        train(quantized, Augmented(x[chosen], y[chosen], FLAGS.seed), FLAGS.epochs, FLAGS.learning_rate)
        tfopt.export(quantized, path)
        simulated = quantized.predict(x_test, batch_size=250, verbose=0)
        (shipped,) = tfopt.runtimes.run(path, x_test, "tflm").values.values()
    right = (100.0 * float(np.mean(np.argmax(one, axis=-1) == y_test)) for one in (simulated, shipped))
    same = f"{int(np.all(simulated == shipped, axis=-1).sum()):,} of {len(y_test):,}"
    name = f"{FLAGS.epochs} epochs of {len(chosen):,} images"
    rows.append((name, *(f"{figure:.2f} %" for figure in right), same, str(minutes)))
    columns = ("ResNet8", "Keras", "TFLite Micro", "images with equal outputs", "CPU minutes")
    print(Table("Training for TFLite Micro", columns, tuple(rows)))


def main(_: list[str]) -> None:
    keras.utils.set_random_seed(FLAGS.seed)
    run_qat() if FLAGS.qat else run_fidelity()


if __name__ == "__main__":
    app.run(main)
