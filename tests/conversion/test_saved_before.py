"""A quantized, half-pruned model that version 0.1 saved loads, and exports to a file that computes the same."""

from pathlib import Path

import keras
import numpy as np
import pytest

import tfopt
from tfopt.runtimes import TFLiteFile, run

SAVED = Path(__file__).parents[1] / "data" / "quantized_half_pruned.keras"


# Keras reads the files of earlier versions, not of later ones: 3.15 gave initializers more arguments.
pytestmark = pytest.mark.skipif(
    tuple(map(int, keras.__version__.split(".")[:2])) < (3, 15), reason="the file was saved with Keras 3.15"
)


def test_an_older_model_loads_and_computes_the_same(tmp_path):
    model = keras.models.load_model(SAVED)
    tfopt.export(model, tmp_path / "again.tflite")
    then, now = TFLiteFile.read(SAVED.with_suffix(".tflite")), TFLiteFile.read(tmp_path / "again.tflite")
    for ours, theirs in zip(now.kernels, then.kernels, strict=True):
        np.testing.assert_array_equal(ours.data, theirs.data)
        assert (ours.scales, ours.zero_points) == (theirs.scales, theirs.zero_points)
    assert (now.inputs[0].scales, now.outputs[0].scales) == (then.inputs[0].scales, then.outputs[0].scales)
    x = np.random.default_rng(3).normal(size=(64, 8, 8, 3)).astype("float32")
    for ours, theirs in zip(run(now, x).raw.values(), run(then, x).raw.values(), strict=True):
        np.testing.assert_array_equal(ours, theirs)
