"""A quantized, half-pruned model that an earlier version saved loads, and exports to the bytes of that day."""

from pathlib import Path

import keras
import pytest
import tensorflow as tf

import tfopt

SAVED = Path(__file__).parents[1] / "data" / "quantized_half_pruned.keras"


# Keras reads the files of earlier versions, not of later ones: 3.15 gave initializers more arguments.
pytestmark = pytest.mark.skipif(
    tuple(map(int, keras.__version__.split(".")[:2])) < (3, 15), reason="the file was saved with Keras 3.15"
)


def test_an_older_model_loads_and_exports_to_the_same_bytes(tmp_path):
    model = keras.models.load_model(SAVED)
    tfopt.export(model, tmp_path / "again.tflite")
    if not tf.__version__.startswith("2.21."):
        pytest.skip("the file of that day was written by the converter of TensorFlow 2.21")
    assert (tmp_path / "again.tflite").read_bytes() == SAVED.with_suffix(".tflite").read_bytes()
