"""Quantizes the networks of `keras.applications`: calibrate, train a step, save, load, export, verify.

    python -m tests.benchmarks.quantize_applications             # all 40, a process each
    python -m tests.benchmarks.quantize_applications ResNet50    # this one, in this process
    python -m tests.benchmarks.quantize_applications --strict    # all on their smallest images, no float operator

With `--strict` nothing is trained or saved: `quantize` and `export` get `strict=True`, and the file holds no operator
that computes in float.

A network passes if all its weights are stored in 8 bits, nothing is computed in float but what the report names, the
saved and loaded model computes the same, and at least 99 % of the file's logits lie within two steps of the model's.
"""

import sys
import tempfile
import time
from pathlib import Path

import keras
import numpy as np

import tfopt
from tests.benchmarks import applications

SIZE = 64
STRICT = "--strict" in sys.argv


def check(name: str) -> bool:
    """Takes a network from quantize to verify, and prints a line."""
    keras.utils.set_random_seed(0)
    start = time.process_time()
    model = applications.untrained(name, applications.SMALLEST if STRICT else SIZE)
    x = np.random.default_rng(0).uniform(0, 255, (8, *model.input_shape[1:])).astype("float32")
    applications.settle(model, x)
    q = tfopt.quantize(model, calibration=x, strict=STRICT)
    same = STRICT or _trained_loads(q, x)
    left_float = {row.kind for row in q.report.layers if row.done == "float"}
    with tempfile.TemporaryDirectory() as folder:
        exported = tfopt.export(q, Path(folder) / "q.tflite", strict=STRICT)
        verified = tfopt.verify(q, Path(folder) / "q.tflite", x, tolerance=2)
    if verified.failure:
        raise RuntimeError(verified.failure)
    (output,) = verified.outputs
    floats = sum(exported.float_operators.values())
    in_int8 = set(exported.weight_bits) == {8} and (not floats or bool(left_float and not STRICT))
    passed = same and in_int8 and output.within_2 >= 0.99
    loads = "" if STRICT else f"loaded the same: {same}  "
    print(
        f"{name:18} {'pass' if passed else 'FAIL'}  {loads}bit-equal {output.equal:4.0%}  within 1 "
        f"{output.within_1:4.0%}  within 2 {output.within_2:4.0%}  weight bits {set(exported.weight_bits)}  "
        f"{time.process_time() - start:4.0f} s CPU  {floats} float operators  {', '.join(sorted(left_float))}",
        flush=True,
    )
    return passed


def _trained_loads(q: keras.Model, x: np.ndarray) -> bool:
    """Whether a model that has trained for a step computes the same when it is saved and loaded."""
    # The gradients of a fresh deep network explode in a batch of two: one plain step can end in weights of hundreds.
    optimizer = keras.optimizers.SGD(1e-4, global_clipnorm=1.0)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    q.compile(optimizer, loss, jit_compile=False)
    q.fit(x[:2], np.zeros(2), verbose=0)
    with tempfile.TemporaryDirectory() as folder:
        q.save(Path(folder) / "q.keras")
        loaded = keras.models.load_model(Path(folder) / "q.keras")
        return np.array_equal(loaded.predict(x, verbose=0), q.predict(x, verbose=0))


if __name__ == "__main__":
    sys.exit(applications.run("tests.benchmarks.quantize_applications", check))
