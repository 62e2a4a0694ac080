"""Large kernels that the converter does not see are in the file as if it had."""

from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

import tfopt
from tfopt.conversion import _export, _stand_ins

RNG = np.random.default_rng(0)
X = RNG.normal(size=(16, 8, 8, 4)).astype("float32")


def _network() -> keras.Model:
    layers = keras.layers
    inputs = keras.Input((8, 8, 4))
    x = layers.Conv2D(8, 3, padding="same", name="conv")(inputs)
    x = layers.BatchNormalization(name="norm")(x)
    x = layers.ReLU(name="relu")(x)
    x = layers.DepthwiseConv2D(3, strides=2, depth_multiplier=2, name="depthwise")(x)
    x = layers.Conv2DTranspose(6, 3, strides=2, name="transposed")(x)
    x = layers.Conv1D(5, 3, use_bias=False, name="conv1d")(layers.Reshape((49, 6), name="rows")(x))
    twice = layers.Dense(5, name="twice")
    x = twice(layers.ReLU(name="between")(twice(x)))
    x = layers.Dense(12, "relu", name="dense")(layers.Flatten(name="flatten")(x))
    # As many numbers in each: filled with one number, their codes are equal bytes.
    x = layers.Dense(12, "relu", name="as_large")(layers.Dense(12, "relu", name="square")(x))
    x = layers.Dense(12, "relu", name="wider")(layers.Dense(8, "relu", name="wide")(x))
    model = keras.Model(inputs, layers.Dense(3, name="head")(x))
    for variable in model.weights:
        if "bias" in variable.path:
            variable.assign(RNG.normal(size=variable.shape))
    return model


@pytest.mark.parametrize("bits", [8, 16])
def test_the_file_is_that_of_the_converter(
    bits: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    q = tfopt.quantize(_network(), X, tfopt.QuantConfig(activation_bits=bits))
    files, seen = [], []

    def spy(file: Any, replaced: Any) -> bool:
        seen.append(({one.layer.name for one in replaced}, _stand_ins.put_back(file, replaced)))
        return seen[-1][1]

    monkeypatch.setattr(_export, "put_back", spy)
    for large, name in ((10**9, "converter"), (1, "aside")):
        monkeypatch.setattr(_stand_ins, "LARGE", large)
        path = tmp_path / f"{name}.tflite"
        tfopt.export(q, path)
        files.append(tfopt.runtimes.TFLiteFile.read(path))
    kernels = {"conv", "depthwise", "transposed", "conv1d", "twice", "twice_", "dense", "square", "as_large"}
    kernels |= {"wide", "wider", "head"}
    assert seen == [(kernels, True)]
    whole, aside = files
    assert [op.name for op in aside.operators] == [op.name for op in whole.operators]
    for one, other in zip(aside.operators, whole.operators, strict=True):
        for mine, theirs in zip(one.inputs, other.inputs, strict=True):
            if theirs is not None:
                assert mine.dtype == theirs.dtype and mine.shape == theirs.shape
                np.testing.assert_array_equal(mine.data, theirs.data, err_msg=theirs.name)
                np.testing.assert_array_equal(mine.scales, theirs.scales, err_msg=theirs.name)
    assert tfopt.verify(q, tmp_path / "aside.tflite", X).passed
