"""What pruning costs in accuracy: ResNet8 on CIFAR-10, from a trained float model to a pruned int8 file.

    TFOPT_TEST_DATA=/folder python -m tests.benchmarks.pruning_accuracy --sparsity=0.8 --scope=global --criterion=lamp

The protocol, the same for every way to prune: a float model, trained `--float_epochs` (kept in `--float_model`, made
if it is not there); `--epochs` of pruning; `--qat_epochs` of quantization-aware training that keeps the zeros; an int8
file. Batches of 64, flips and shifts by 4 pixels. `--sparsity` is that of ALL kernel weights: where some layers
stay dense, the others hold more zeros. The folder holds `cifar10.py`, whose `load()` returns the data.
"""

import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import importlib.util
import math
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import keras
import numpy as np
from absl import app, flags
from keras import layers

import tfopt
from tfopt.pruning import ConstantSparsity, PolynomialDecay, Pruning, find_targets, parse_pattern
from tfopt.pruning._patterns import NofM
from tfopt.runtimes import TFLiteFile

_FLOAT_EPOCHS = flags.DEFINE_integer("float_epochs", 30, "Epochs of the float model, if it is not there.")
_EPOCHS = flags.DEFINE_integer("epochs", 8, "Epochs of pruning.")
_QAT_EPOCHS = flags.DEFINE_integer("qat_epochs", 4, "Epochs of quantization-aware training after it.")
_SUBSET = flags.DEFINE_integer("subset", 0, "Train and test on as many images only; 0 for all.")
_SPARSITY = flags.DEFINE_float("sparsity", 0.8, "Fraction of zeros over all kernel weights.")
_PATTERN = flags.DEFINE_string("pattern", "unstructured", "As for Pruning.")
_SCOPE = flags.DEFINE_enum("scope", "global", ["layer", "global", "erk"], "As for Pruning.")
_CRITERION = flags.DEFINE_string("criterion", "magnitude", "As for Pruning.")
_WHERE = flags.DEFINE_string("where", None, "As for Pruning; '.*' prunes the first and the last layer too.")
_DISTIL = flags.DEFINE_bool("distil", False, "Let the float model teach, in both trainings.")
_FLOAT_MODEL = flags.DEFINE_string(
    "float_model", None, "A .keras or .h5 file of the float model to start from."
)
_LEARNING_RATE = flags.DEFINE_float("learning_rate", 1e-3, "At the start of pruning; falls on a cosine.")
_SEED = flags.DEFINE_integer("seed", 0, "Seed of everything random.")

BATCH = 64


def load_data() -> tuple[tuple[np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray]]:
    """CIFAR-10 as float32 in [0, 255], which is what MLPerf Tiny's ResNet8 takes."""
    folder = os.environ.get("TFOPT_TEST_DATA")
    if not folder:
        sys.exit("Skipped: set TFOPT_TEST_DATA to a folder with cifar10.py in it.")
    spec = importlib.util.spec_from_file_location("cifar10", Path(folder) / "cifar10.py")
    if spec is None or spec.loader is None:
        sys.exit(f"Skipped: there is no cifar10.py in {folder}.")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    (x, y), (x_test, y_test) = module.load()
    size = _SUBSET.value or len(x)
    train = x[:size].astype("float32"), y[:size].reshape(-1)
    return train, (x_test[:size].astype("float32"), y_test[:size].reshape(-1))


def resnet8() -> keras.Model:
    """The image classification network of MLPerf Tiny: 78,000 parameters, 12.5 M multiply-accumulates."""

    def convolution(x: Any, filters: int, size: int = 3, strides: int = 1) -> Any:
        return layers.Conv2D(
            filters, size, strides, padding="same", kernel_regularizer=keras.regularizers.L2(1e-4)
        )(x)

    x = inputs = keras.Input((32, 32, 3))
    x = layers.ReLU()(layers.BatchNormalization()(convolution(x, 16)))
    for filters, strides in ((16, 1), (32, 2), (64, 2)):
        y = layers.ReLU()(layers.BatchNormalization()(convolution(x, filters, strides=strides)))
        y = layers.BatchNormalization()(convolution(y, filters))
        if strides > 1:
            x = convolution(x, filters, size=1, strides=strides)
        x = layers.ReLU()(layers.Add()([x, y]))
    x = layers.Flatten()(layers.AveragePooling2D(8)(x))
    return keras.Model(inputs, layers.Dense(10)(x), name="resnet8")


def with_logits(model: keras.Model) -> keras.Model:
    """The model without the softmax at its end."""
    if getattr(model.layers[-1], "activation", None) is keras.activations.softmax:
        model.layers[-1].activation = keras.activations.linear
        model = keras.models.clone_model(model, clone_function=lambda layer: layer)
    return model


class Augmented(keras.utils.PyDataset):
    """Batches in random order, flipped at random and shifted by up to 4 pixels."""

    def __init__(self, x: np.ndarray, y: np.ndarray, seed: int) -> None:
        super().__init__()
        self.x = np.pad(x, ((0, 0), (4, 4), (4, 4), (0, 0)))
        self.y = y
        self.rng = np.random.default_rng(seed)
        self.on_epoch_end()

    def __len__(self) -> int:
        return math.ceil(len(self.y) / BATCH)

    def on_epoch_end(self) -> None:
        self.order = self.rng.permutation(len(self.y))

    def __getitem__(self, index: int) -> tuple[np.ndarray, np.ndarray]:
        chosen = self.order[index * BATCH : (index + 1) * BATCH]
        images = np.empty((len(chosen), 32, 32, 3), "float32")
        for image, one in zip(images, chosen, strict=True):
            top, left = self.rng.integers(0, 9, 2)
            part = self.x[one, top : top + 32, left : left + 32]
            image[:] = part[:, ::-1] if self.rng.random() < 0.5 else part
        return images, self.y[chosen]


def train(
    model: keras.Model, batches: Augmented, epochs: int, rate: float, teacher: Any = None, callbacks: Any = ()
) -> None:
    """Adam on a cosine, with the teacher's soft targets if there is one."""
    trained = model
    if teacher is not None:
        losses = [tfopt.SoftTargets(temperature=4.0, from_logits=True)]
        trained = tfopt.Distiller(student=model, teacher=teacher, losses=losses)
    schedule = keras.optimizers.schedules.CosineDecay(rate, epochs * len(batches))
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    trained.compile(keras.optimizers.Adam(schedule), loss)
    if epochs:
        trained.fit(batches, epochs=epochs, verbose=2, callbacks=list(callbacks))


def accuracy(logits: np.ndarray, y: np.ndarray) -> float:
    """Percent correct."""
    return 100.0 * float(np.mean(np.argmax(logits, axis=1) == y))


def final_sparsity(model: keras.Model) -> float:
    """What the pruned layers must hold, so that all kernels together hold `--sparsity`; N:M has its own."""
    pattern = parse_pattern(_PATTERN.value)
    if isinstance(pattern, NofM):
        return pattern.final
    targets, _ = find_targets(model, _WHERE.value)
    everything, _ = find_targets(model, ".*")
    sizes = [sum(math.prod(t.variable.shape) for t in part) for part in (targets, everything)]
    return _SPARSITY.value * sizes[1] / sizes[0]


def pruning(schedule: Any, samples: Any) -> Pruning:
    """The callback of both trainings."""
    return Pruning(
        schedule,
        _WHERE.value,
        pattern=_PATTERN.value,
        scope=_SCOPE.value,
        criterion=_CRITERION.value,
        data=samples,
    )


def float_model(batches: Augmented) -> keras.Model:
    """The float model: loaded, or trained and kept."""
    path = _FLOAT_MODEL.value
    if path and Path(path).exists():
        return with_logits(keras.models.load_model(path, compile=False))
    model = resnet8()
    train(model, batches, _FLOAT_EPOCHS.value, 3e-3)
    if path:
        model.save(path)
    return model


def main(_: list[str]) -> None:
    """Train, prune, quantize, export and print a line."""
    keras.utils.set_random_seed(_SEED.value)
    (x, y), (x_test, y_test) = load_data()
    batches = Augmented(x, y, _SEED.value)
    teacher = float_model(batches)
    model = keras.models.clone_model(teacher)
    model.set_weights(teacher.get_weights())
    helper = teacher if _DISTIL.value else None
    samples = (x[:512], y[:512])
    begin, final = time.process_time(), final_sparsity(model)

    steps = _EPOCHS.value * len(batches)
    ramp = PolynomialDecay(final, end_step=max(1, steps * 3 // 4), frequency=max(1, len(batches) // 8))
    first = pruning(ramp if steps else ConstantSparsity(final), samples)
    train(model, batches, _EPOCHS.value, _LEARNING_RATE.value, helper, [first])
    print(first.report)
    scores = {"float": accuracy(teacher.predict(x_test, verbose=0), y_test)}
    scores["pruned"] = accuracy(model.predict(x_test, verbose=0), y_test)

    student = tfopt.quantize(model, calibration=x[:512])
    second = pruning(ConstantSparsity(final), samples)
    train(student, batches, _QAT_EPOCHS.value, _LEARNING_RATE.value / 5, helper, [second])
    minutes = (time.process_time() - begin) / 60
    scores["int8 in Keras"] = accuracy(student.predict(x_test, verbose=0), y_test)
    path = Path(tempfile.mkdtemp()) / "int8.tflite"
    tfopt.export(student, path)
    row = tfopt.compare({"int8": path}, x_test, y_test).rows[0]
    scores["int8 file"] = 100.0 * (row.metric or 0.0)

    print(
        f"\n{_PATTERN.value}, {_SCOPE.value}, {_CRITERION.value}, distil={_DISTIL.value}, seed {_SEED.value}"
    )
    for name, score in scores.items():
        print(f"{name:<14}{score:8.2f} %{score - scores['float']:+8.2f}")
    kernels = TFLiteFile.read(path).kernels
    sizes = [math.prod(kernel.shape) for kernel in kernels]
    zeros = sum(kernel.sparsity * size for kernel, size in zip(kernels, sizes, strict=True))
    print(f"zeros in the file's kernels: {zeros / sum(sizes):.1%} of {sum(sizes):,}")
    print(f"file: {row.raw_bytes:,} bytes, gzip {row.gzip_bytes:,}")
    print(f"epochs: {_EPOCHS.value} + {_QAT_EPOCHS.value}; CPU minutes: {minutes:.1f}")


if __name__ == "__main__":
    app.run(main)
