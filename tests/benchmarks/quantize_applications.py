"""Quantizes every family of `keras.applications`: calibrate, train a step, save, load, export, verify.

python -m tests.benchmarks.quantize_applications [NAME ...]
"""

import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import sys
import tempfile
import time
from pathlib import Path

import keras
import numpy as np

import tfopt

# One of each family and generation; the smallest, for they differ in depth only.
FAMILIES = (
    "ConvNeXtTiny",
    "DenseNet121",
    "EfficientNetB0",
    "EfficientNetV2B0",
    "EfficientNetV2S",
    "InceptionResNetV2",
    "InceptionV3",
    "MobileNet",
    "MobileNetV2",
    "MobileNetV3Large",
    "MobileNetV3Small",
    "NASNetMobile",
    "ResNet50",
    "ResNet50V2",
    "VGG16",
    "Xception",
)
SIZE = 96
CLASSES = 10


def check(name: str, settled: bool) -> tuple[str, ...]:
    """One row: what happened to the family, from quantize to verify."""
    keras.utils.set_random_seed(0)
    start = time.process_time()
    rng = np.random.default_rng(0)
    x = rng.uniform(0, 255, (8, SIZE, SIZE, 3)).astype("float32")
    float_model = getattr(keras.applications, name)(
        weights=None, classes=CLASSES, input_shape=(SIZE, SIZE, 3)
    )
    if settled:
        _settle(float_model, x)
    q = tfopt.quantize(float_model, calibration=x)
    q.compile(keras.optimizers.SGD(1e-4), "sparse_categorical_crossentropy", jit_compile=False)
    q.fit(x[:2], np.zeros(2), verbose=0)
    left_float = {row.kind for row in q.report.layers if row.done == "float"}
    with tempfile.TemporaryDirectory() as folder:
        q.save(Path(folder) / "q.keras")
        loaded = keras.models.load_model(Path(folder) / "q.keras")
        same = np.array_equal(loaded.predict(x, verbose=0), q.predict(x, verbose=0))
        exported = tfopt.export(q, Path(folder) / "q.tflite")
        verified = tfopt.verify(q, Path(folder) / "q.tflite", x, tolerance=2)
    (output,) = verified.outputs
    passed = same and output.within_2 >= 0.99 and (not exported.float_operators or left_float)
    return (
        name,
        "pass" if passed else "FAIL",
        f"{output.equal:.1%}",
        f"{output.within_2:.1%}",
        ", ".join(map(str, exported.weight_bits)),
        str(sum(exported.float_operators.values())),
        str(exported.grid_changes),
        f"{time.process_time() - start:.0f}",
        ", ".join(sorted(left_float)),
    )


def _settle(model: keras.Model, x: np.ndarray) -> None:
    """Batch-norm statistics of real activations: with fresh ones deep networks put out constants."""
    for layer in model.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.momentum = 0.0
    model(x, training=True)
    for layer in model.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.momentum = 0.99


def main() -> None:
    """Prints a row a family, as they finish."""
    names = [argument for argument in sys.argv[1:] if argument != "--settled"] or FAMILIES
    print("family, result, bit-equal, within 2, weight bits, float ops, grid changes, CPU s, left float")
    passed = 0
    for name in names:
        try:
            row = check(name, "--settled" in sys.argv)
        except Exception as error:
            row = (name, "FAIL", f"{type(error).__name__}: {str(error)[:300]}")
        passed += row[1] == "pass"
        print(*row, sep="  ", flush=True)
        keras.backend.clear_session()
    print(f"{passed} of {len(names)} pass.")


if __name__ == "__main__":
    main()
