"""Clusters survive quantization-aware training, folding and export: distinct codes of each kernel of the int8 file."""

from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from keras import layers

import tfopt
from tfopt.clustering import Clustering
from tfopt.runtimes import TFLiteFile

LOSS = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
K = 8


def net() -> keras.Model:
    """Every kind of kernel that folds, before batch norms some of whose gammas are negative."""
    x = inputs = keras.Input((8, 8, 1))
    for index, layer in enumerate(
        (
            layers.Conv2D(8, 3, padding="same", name="conv"),
            layers.DepthwiseConv2D(3, padding="same", name="depthwise"),
            layers.Conv2DTranspose(6, 3, padding="same", name="transposed"),
        )
    ):
        norm = layers.BatchNormalization(name=f"norm_{index}")
        x = layers.ReLU()(norm(layer(x)))
        gamma = np.random.default_rng(index).uniform(0.5, 1.5, norm.gamma.shape)
        gamma[::2] *= -1
        norm.gamma.assign(gamma)
    x = layers.Dense(16, "relu", name="dense")(layers.GlobalAveragePooling2D()(x))
    return keras.Model(inputs, layers.Dense(4, name="head")(x), name="net")


# Options of `quantize`, of `Clustering`, and the most codes per (kernel, channel).
CASES: dict[str, tuple[dict[str, Any], dict[str, Any], tuple[int | None, int]]] = {
    "a step per channel": ({}, {}, (K, K)),
    "one step": ({"granularity": "tensor"}, {}, (K, K)),
    "steps of powers of two": ({"power_of_two": True}, {}, (None, K)),
    "values of each channel": ({}, {"granularity": "channel"}, (None, K)),
    "6 bits": ({"weight_bits": 6}, {}, (K, K)),
}


@pytest.mark.parametrize(
    ("config", "options", "most"),
    [
        pytest.param(*case, id=name, marks=[] if name == "a step per channel" else pytest.mark.slow)
        for name, case in CASES.items()
    ],
)
def test_a_file_holds_few_codes(config: Any, options: Any, most: Any, blobs: Any, tmp_path: Path) -> None:
    """With pruning and distillation in the same fit; the file computes what the model computes."""
    teacher = net()
    student = tfopt.quantize(teacher, calibration=blobs[0], config=tfopt.QuantConfig(**config))
    distiller = tfopt.Distiller(student, teacher, [tfopt.SoftTargets(from_logits=True)])
    distiller.compile(keras.optimizers.Adam(0.003), LOSS)
    clustering = Clustering(K, **options)
    pruning = tfopt.Pruning(tfopt.ConstantSparsity(0.5), where="conv$|dense$")
    distiller.fit(*blobs, batch_size=64, epochs=1, verbose=0, callbacks=[clustering, pruning])
    student.save(tmp_path / "student.keras")
    loaded = keras.models.load_model(tmp_path / "student.keras")
    tfopt.export(loaded, tmp_path / "model.tflite")
    kernels = TFLiteFile.read(tmp_path / "model.tflite").kernels
    assert len(kernels) == 5
    for kernel in kernels:
        codes = np.moveaxis(np.asarray(kernel.data), kernel.axis or 0, 0)
        per_channel = max(len(np.unique(channel)) for channel in codes)
        assert per_channel <= most[1], kernel.name
        assert most[0] is None or len(np.unique(codes)) <= most[0], kernel.name
        assert len(np.unique(codes)) > 3
    assert sorted((np.asarray(kernel.data) == 0).mean() >= 0.5 for kernel in kernels)[-2:] == [True, True]
    report = {row.path.split("/")[-1]: row for row in clustering.report.layers}
    assert all(row.values <= K for row in report.values() if row.values)
    assert tfopt.verify(loaded, tmp_path / "model.tflite", blobs[0][:32], tolerance=0).passed


@pytest.mark.slow
def test_grids_with_few_values_are_left_as_they_are() -> None:
    overrides = {"dense": {"weight_bits": 4}, "head": {"weight_bits": 8}}
    q = tfopt.quantize(
        net(), calibration=np.zeros((8, 8, 8, 1)), config=tfopt.QuantConfig(overrides=overrides)
    )
    q.compile("sgd", LOSS)
    clustering = Clustering(16)
    q.fit(np.zeros((4, 8, 8, 1)), np.zeros(4), verbose=0, callbacks=[clustering])
    reasons = {row.path.split("/")[-1]: row.reason for row in clustering.report.layers}
    assert reasons["dense"] == "its grid of 4 bits has 15 values, no more than there are clusters"
    assert reasons["head"] is None


@pytest.mark.slow
def test_a_float_model_clustered_in_codes_is_quantized_later(blobs: Any, tmp_path: Path) -> None:
    model = net()
    model.compile("adam", LOSS)
    model.fit(*blobs, batch_size=64, epochs=2, verbose=0, callbacks=[Clustering(K, domain="code")])
    tfopt.export(tfopt.quantize(model, calibration=blobs[0]), tmp_path / "model.tflite")
    for kernel in TFLiteFile.read(tmp_path / "model.tflite").kernels:
        assert 3 < len(np.unique(np.asarray(kernel.data))) <= K, kernel.name
