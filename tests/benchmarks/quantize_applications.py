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
SIZE = 64
AT_LEAST = {"InceptionResNetV2": 75, "InceptionV3": 75, "Xception": 71}  # the smallest these take
CLASSES = 10


def check(name: str) -> tuple[str, ...]:
    """One row: what happened to the family, from quantize to verify.

    Logits are compared: the probabilities of an untrained network are all alike, and prove nothing.
    """
    keras.utils.set_random_seed(0)
    start = time.process_time()
    rng = np.random.default_rng(0)
    size = AT_LEAST.get(name, SIZE)
    x = rng.uniform(0, 255, (8, size, size, 3)).astype("float32")
    float_model = getattr(keras.applications, name)(
        weights=None, classes=CLASSES, classifier_activation=None, input_shape=x.shape[1:]
    )
    _settle(float_model, x)
    q = tfopt.quantize(float_model, calibration=x)
    # The gradients of a fresh deep network explode in a batch of two: one plain step can end in weights of hundreds.
    optimizer = keras.optimizers.SGD(1e-4, global_clipnorm=1.0)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    q.compile(optimizer, loss, jit_compile=False)
    q.fit(x[:2], np.zeros(2), verbose=0)
    left_float = {row.kind for row in q.report.layers if row.done == "float"}
    with tempfile.TemporaryDirectory() as folder:
        q.save(Path(folder) / "q.keras")
        loaded = keras.models.load_model(Path(folder) / "q.keras")
        same = np.array_equal(loaded.predict(x, verbose=0), q.predict(x, verbose=0))
        exported = tfopt.export(q, Path(folder) / "q.tflite")
        verified = tfopt.verify(q, Path(folder) / "q.tflite", x, tolerance=2)
    if verified.failure:
        raise RuntimeError(verified.failure)
    (output,) = verified.outputs
    in_int8 = set(exported.weight_bits) == {8} and (not exported.float_operators or left_float)
    passed = same and in_int8 and output.within_2 >= 0.99
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
    names = sys.argv[1:] or FAMILIES
    print("family, result, bit-equal, within 2, weight bits, float ops, grid changes, CPU s, left float")
    passed = 0
    for name in names:
        try:
            row = check(name)
        except Exception as error:
            row = (name, "FAIL", f"{type(error).__name__}: {str(error)[:300]}")
        passed += row[1] == "pass"
        print(*row, sep="  ", flush=True)
        keras.backend.clear_session()
    print(f"{passed} of {len(names)} pass.")


if __name__ == "__main__":
    main()
