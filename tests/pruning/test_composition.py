"""Zeros survive quantization-aware training and export, for every pattern; and distillation in the same fit."""

from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

import tfopt
from tests.pruning.nets import LOSS, drive
from tests.pruning.test_fit_patterns import PATTERNS, transformer
from tfopt.pruning import ConstantSparsity, Pruning
from tfopt.runtimes import TFLiteFile

SLOW = pytest.mark.slow
# How the quantized student trains: by itself, with a teacher, or with noise in the place of gradients.
CASES = {
    "unstructured": "fit",
    "2:4": "drive",
    "1x4": "distil",
    "4x1": "drive",
    "channels": "distil",
    "heads": "drive",
}


def kernels_in_file(path: Path) -> dict[str, float]:
    """Sparsity of each int8 kernel, by the layer's name."""
    return {kernel.name.split("/")[0]: kernel.sparsity for kernel in TFLiteFile.read(path).kernels}


@pytest.mark.parametrize(
    ("pattern", "way"),
    [pytest.param(*case, marks=[] if case[0] == "2:4" else SLOW) for case in CASES.items()],
)
def test_zeros_of_every_pattern_are_exact_in_the_int8_file(
    pattern: str, way: str, blobs: Any, tmp_path: Path
) -> None:
    teacher = net_with_plain_attention()
    student = tfopt.quantize(teacher, calibration=blobs[0])
    trained: keras.Model = student
    if way == "distil":
        losses = [tfopt.SoftTargets(temperature=4.0, from_logits=True)]
        trained = tfopt.Distiller(student=student, teacher=teacher, losses=losses)
    trained.compile(keras.optimizers.Adam(0.003), LOSS, jit_compile=False)
    pruning = Pruning(ConstantSparsity(PATTERNS[pattern]), pattern=pattern)
    if way == "drive":
        drive(trained, pruning, epochs=1)
    else:
        trained.fit(*blobs, batch_size=32, epochs=1, verbose=0, callbacks=[pruning])
    rows = [row for row in pruning.report.layers if row.sparsity is not None]
    assert all(abs(row.sparsity - PATTERNS[pattern]) < 0.02 for row in rows)
    tfopt.export(student, tmp_path / "model.tflite")
    sparsities = kernels_in_file(tmp_path / "model.tflite")
    for row in rows:
        found = [value for name, value in sparsities.items() if name.startswith(row.path.split("/")[-1])]
        # Some weights that are not zero round to it.
        assert found and all(row.sparsity <= value <= row.sparsity + 0.05 for value in found), row.path


def net_with_plain_attention() -> keras.Model:
    """The transformer of the other tests with MultiHeadAttention, which opens into layers that can be quantized."""
    layers = keras.layers
    x = inputs = keras.Input((8, 8, 1))
    x = layers.Reshape((8, 8))(x)
    x = layers.Conv1D(16, 3, padding="same", name="conv")(x)
    x = layers.ReLU()(layers.BatchNormalization(name="norm")(x))
    x = layers.Add()([x, layers.MultiHeadAttention(4, 4, name="attention")(x, x)])
    x = layers.Dense(32, "relu", name="dense")(layers.GlobalAveragePooling1D()(x))
    return keras.Model(inputs, layers.Dense(4, name="head")(x), name="net")


@pytest.mark.parametrize(
    "pattern", [p if p in ("2:4", "channels") else pytest.param(p, marks=SLOW) for p in PATTERNS]
)
def test_a_later_run_keeps_the_zeros_of_every_pattern(pattern: str) -> None:
    model = transformer()
    zeros: list[list[np.ndarray]] = []
    for _ in range(2):
        drive(model, Pruning(ConstantSparsity(PATTERNS[pattern]), pattern=pattern), epochs=1)
        zeros.append([weight.numpy() == 0 for weight in model.trainable_weights if weight.name == "kernel"])
    for first, second in zip(*zeros, strict=True):
        np.testing.assert_array_equal(first, second)
