"""`tfopt export`: the flags that shape a file."""

import keras
import numpy as np

from tests.program import run_tfopt
from tfopt.runtimes import TFLiteFile


def test_a_float_model_becomes_a_fixed_int8_file_and_an_array(tmp_path):
    image = keras.Input((None, None, 3), name="image")
    x = keras.layers.GlobalAveragePooling2D()(keras.layers.Conv2D(2, 3)(image))
    keras.Model(image, keras.layers.Dense(2, name="logits")(x)).save(tmp_path / "model.keras")
    np.save(tmp_path / "x.npy", np.random.default_rng(0).normal(size=(8, 6, 6, 3)).astype("float32"))
    result = run_tfopt(
        "export",
        *(
            tmp_path / "model.keras",
            tmp_path / "a.tflite",
            "--format=int8",
            "--calibration",
            tmp_path / "x.npy",
        ),
        *("--shape=image=6,6,3", "--batch_size=2", "--input_dtype=uint8", "--output_dtype=float32"),
        *("--c_array", tmp_path / "a.cc"),
    )
    assert result.returncode == 0, result.stderr
    assert "image: uint8 2 × 6 × 6 × 3" in result.stdout and "logits: float32 2 × 2" in result.stdout
    file = TFLiteFile.read(tmp_path / "a.tflite")
    assert file.weight_bits.keys() == {8}
    assert f"a_tflite_len = {len(file.content)};" in (tmp_path / "a.cc").read_text()
    assert (tmp_path / "a.h").exists()


def test_a_shape_that_is_none_teaches(tmp_path):
    keras.Sequential([keras.Input((4,)), keras.layers.Dense(2)]).save(tmp_path / "model.keras")
    result = run_tfopt("export", tmp_path / "model.keras", tmp_path / "a.tflite", "--shape=image:6")
    assert result.returncode == 2
    assert "The '--shape' flag must be a name and whole numbers" in result.stderr
