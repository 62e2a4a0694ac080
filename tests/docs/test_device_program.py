"""The program for a device, built from TFLite Micro's sources, gives the bytes of the package's interpreter.

The sources are in no package: `TFLM_TREE` names a tree that their create_tflm_tree.py wrote, and `TFLM_BUILD` a folder
that keeps the library from one run to the next.
"""

import os
import shutil
import subprocess
from pathlib import Path

import keras
import numpy as np
import pytest

import tfopt
from tests.docs.pages import ROOT
from tests.models import samples_for, trained_like
from tfopt.conversion import write_c_array
from tfopt.runtimes import TFLiteFile, run

TREE = os.environ.get("TFLM_TREE")


def model() -> keras.Model:
    layers = [
        keras.Input((8, 8, 1), name="image"),
        keras.layers.Conv2D(4, 3, padding="same", activation="relu"),
        keras.layers.MaxPooling2D(),
        keras.layers.Flatten(),
        keras.layers.Dense(10, activation="softmax"),
    ]
    return trained_like(keras.Sequential(layers))


@pytest.mark.slow
@pytest.mark.skipif(TREE is None, reason="TFLM_TREE names no tree of TFLite Micro's sources")
def test_it_computes_what_the_interpreter_computes(tmp_path: Path) -> None:
    for name in ("main.cc", "Makefile"):
        shutil.copy(ROOT / "examples" / "microcontroller" / name, tmp_path)
    samples = samples_for(model(), 50)
    q = tfopt.quantize(model(), samples, tfopt.QuantConfig.for_target("tflm"))
    path = tmp_path / "digits.tflite"
    tfopt.export(q, path)
    write_c_array(path, tmp_path / "digits.cc")
    build = os.environ.get("TFLM_BUILD", "build")
    subprocess.run(["make", f"TFLM={TREE}", f"BUILD={build}"], cwd=tmp_path, check=True, capture_output=True)

    (image,) = TFLiteFile.read(path).inputs
    codes = np.round(samples / np.float32(image.scale)) + image.zero_point
    codes = np.clip(codes, -128, 127).astype("int8")
    program = tmp_path / build / "digits"
    printed = subprocess.run([program], input=codes.tobytes(), check=True, capture_output=True)
    (expected,) = run(path, samples, "tflm").raw.values()
    assert np.array_equal(np.frombuffer(printed.stdout, "int8").reshape(expected.shape), expected)
    assert b"of 4096 bytes" in printed.stderr
