"""One technique alone, on a model and data, without training."""

import json

import keras
import numpy as np
import pytest

import tfopt
from tfopt.pipeline._apply import apply_technique
from tfopt.recipes import Quantize, Recipe, Shrink
from tfopt.runtimes import TFLiteFile

layers = keras.layers


@pytest.fixture(scope="module")
def samples():
    rng = np.random.default_rng(0)
    return rng.normal(size=(40, 6, 6, 1)).astype("float32"), rng.integers(0, 3, 40)


@pytest.fixture(scope="module")
def model():
    x = inputs = keras.Input((6, 6, 1))
    x = layers.BatchNormalization()(layers.Conv2D(8, 3, name="conv")(x))
    x = layers.ReLU()(x)
    return keras.Model(inputs, layers.Dense(3, name="head")(layers.Flatten()(x)), name="net")


QUANTIZE = Recipe(quantize=Quantize(weight_bits=4), distill=None)
SHRINK = Recipe(quantize=None, distill=None, shrink=Shrink(channels=0.5, divisor=4))
# Technique, recipe and file -> the reports.
ROWS = {
    "int8 file": ("quantize", QUANTIZE, "q.tflite", ["quantize", "export", "verify", "compare"]),
    "smaller model": ("shrink", SHRINK, "s.keras", ["shrink", "compare"]),
    "quantized model": ("quantize", QUANTIZE, "q.keras", ["quantize", "compare"]),
    "smaller file": ("shrink", SHRINK, "s.tflite", ["shrink", "export", "verify", "compare"]),
}


@pytest.mark.parametrize(
    "name", [pytest.param(row, marks=[pytest.mark.slow] * (at > 1)) for at, row in enumerate(ROWS)]
)
def test_what_is_written_is_what_was_made(name, model, samples, tmp_path):
    technique, recipe, file, names = ROWS[name]
    before = [array.copy() for array in model.get_weights()]
    result = apply_technique(technique, model, samples, recipe, tmp_path / file)
    assert result.passed and list(result.reports) == names
    assert [path.name for path in tmp_path.iterdir()] == [file]
    original, made = result.reports["compare"].rows
    assert (original.name, made.name) == ("original", file)
    if file.endswith(".tflite"):
        kernels = TFLiteFile.read(tmp_path / file).kernels
        assert {kernel.bits for kernel in kernels} == ({4} if technique == "quantize" else {32})
        assert kernels[0].shape[0] == (8 if technique == "quantize" else 4)
    else:
        loaded = keras.saving.load_model(tmp_path / file)
        row = tfopt.compare({"loaded": loaded}, *samples, latency_runs=1).rows[0]
        assert row.raw_bytes == made.raw_bytes
    assert all(np.array_equal(old, new) for old, new in zip(before, model.get_weights(), strict=True))
    assert json.loads(json.dumps(result.to_dict()))["passed"]
    assert all(len(line) <= 80 for line in str(result).splitlines())


@pytest.mark.slow
def test_sums_of_residual_blocks_keep_16_bits(tmp_path):
    x = inputs = keras.Input((4,))
    for _ in range(2):
        x = layers.Add()([x, layers.Dense(4)(layers.Dense(4, activation="relu")(x))])
    rows = np.random.default_rng(0).normal(size=(32, 4)).astype("float32")
    recipe = Recipe(quantize=Quantize(residual_bits=16), distill=None)
    data = (rows, rows[:, :1])
    result = apply_technique(
        "quantize", keras.Model(inputs, layers.Dense(1)(x)), data, recipe, tmp_path / "q.keras"
    )
    assert "activations of 8, residual sums of 16" in result.words
    loaded = keras.saving.load_model(tmp_path / "q.keras")
    assert {one.num_bits for one in loaded.layers if isinstance(one, tfopt.FakeQuantize)} == {8, 16}


def test_a_wrong_output_is_refused_before_anything_is_read(model, tmp_path):
    for path, message in (
        (tmp_path / "q.txt", "a .tflite file, or a .keras file"),
        (tmp_path / "no" / "q.keras", "folder"),
    ):
        with pytest.raises(ValueError, match=message):
            apply_technique("quantize", model, "no such data", QUANTIZE, path)
