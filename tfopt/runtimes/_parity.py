"""How far the outputs of a .tflite file are from those of the Keras model, in steps of the file's grid."""

import dataclasses
from collections import Counter
from typing import Any

import keras
import numpy as np

from tfopt.runtimes._codes import quantize_values
from tfopt.runtimes._tensors import Tensor

FLOAT_TOLERANCE = 1e-4  # of the range of an output; float32 kernels sum in another order than Keras
# Bits of the weights of a float model's file -> the same. Rounding moves a weight by up to a 2,000th of itself, or by a
# 254th or a 14th of the largest in its channel: some four times that, for outputs behind several layers.
FLOAT_TOLERANCES = {4: 0.3, 8: 0.02, 16: 2e-3, 32: FLOAT_TOLERANCE}
FAR = 8  # differences of this many steps or more are counted together


@dataclasses.dataclass(frozen=True)
class OutputParity:
    """One output of a file against the same output of the Keras model, over all samples.

    Integer outputs are compared in steps: the Keras output is put on the file's grid (`quantize_values`), and the
    integers are subtracted. Float outputs are compared as they are.

    Args:
        name: name in the file's signature.
        dtype: type in the file.
        scale: size of one step; None for float outputs.
        values: numbers compared: samples times values per sample.
        equal: fraction of them that are equal bit for bit.
        within_1: fraction at most one step apart (float: at most the float tolerance, a share of the range).
        within_2: fraction at most two steps apart (float: at most twice that).
        max_steps: largest difference in steps; None for float outputs.
        max_abs: largest difference, as real values.
        max_relative: `max_abs` as a fraction of the range (largest minus smallest value) of the Keras output.
        not_finite: how many values are NaN or infinite on either side; they never pass.
        histogram: how often each difference (file minus Keras, in steps) occurs. Empty for float outputs.
        passed: whether every value is within the tolerance.
        runtime: the name of the runtime.

    Example: see `parity_of`.
    """

    name: str
    dtype: str
    scale: float | None
    values: int
    equal: float
    within_1: float
    within_2: float
    max_steps: int | None
    max_abs: float
    max_relative: float
    not_finite: int
    histogram: dict[str, int]
    passed: bool
    runtime: str = "xnnpack"


def parity_of(
    tensor: Tensor,
    raw: np.ndarray,
    keras_values: np.ndarray,
    tolerance: int = 1,
    float_tolerance: float = FLOAT_TOLERANCE,
) -> OutputParity:
    """Compares one output of a file with the Keras model's.

    Args:
        tensor: the output tensor of the file.
        raw: what the file computed, as integers or floats, `(samples, ...)`.
        keras_values: what Keras computed, as floats, of the same shape.
        tolerance: steps of the grid that still pass.
        float_tolerance: share of the output's range that still passes, for float outputs.

    Raises:
        ValueError: the shapes differ.

    Example: steps of 0.5; the first value is equal, the second one step off.

    >>> grid = Tensor(0, "y", (1, 2), "int8", scales=(0.5,), zero_points=(0,))
    >>> parity = parity_of(grid, np.array([[2, 7]], "int8"), np.array([[1.0, 3.0]]))
    >>> parity.histogram, parity.equal, parity.max_steps, parity.passed
    ({'0': 1, '1': 1}, 0.5, 1, True)
    """
    if raw.shape != keras_values.shape:
        raise ValueError(
            f"The output '{tensor.name}' of the file has the shape {raw.shape} on these samples, and the Keras model's "
            f"has {keras_values.shape}. Check that the file was exported from this model."
        )
    expected = keras_values.astype(np.float64)
    finite = np.isfinite(raw) & np.isfinite(expected)
    real = np.where(finite, raw, 0).astype(np.float64)
    expected = np.where(finite, expected, 0.0)
    # Relative to the range: a logit that is off by 0.01 matters as much near zero as far from it.
    spread = float(np.ptp(expected) or np.abs(expected).max() or 1.0)
    histogram: dict[str, int] = {}
    if scale := tensor.scale:
        steps = np.where(finite, real - quantize_values(expected, scale, tensor.zero_point, tensor.dtype), 0)
        distance, difference, limit = np.abs(steps), np.abs(steps) * scale, tolerance
        histogram = _histogram(steps[finite])
    else:
        difference = np.abs(real - expected)
        distance, limit = difference / (spread * float_tolerance), 1
    return OutputParity(
        name=tensor.name,
        dtype=tensor.dtype,
        scale=scale,
        values=raw.size,
        equal=float(np.mean(finite & (distance == 0))),
        within_1=float(np.mean(finite & (distance <= 1))),
        within_2=float(np.mean(finite & (distance <= 2))),
        max_steps=int(distance.max()) if scale else None,
        max_abs=float(difference.max()),
        max_relative=float(difference.max() / spread),
        not_finite=int(np.count_nonzero(~finite)),
        histogram=histogram,
        passed=bool((finite & (distance <= limit)).all()),
    )


def pair_outputs(predictions: Any, outputs: tuple[Tensor, ...]) -> list[np.ndarray]:
    """What `model.predict` returned, as one array for each output of a file.

    A dict is matched by name if the file has these names; everything else is matched in order.

    >>> [a.tolist() for a in pair_outputs({"a": np.ones(1), "b": np.zeros(1)}, (Tensor(0, "b", (1,), "int8"),
    ...     Tensor(1, "a", (1,), "int8")))]
    [[0.0], [1.0]]
    """
    names = [tensor.name for tensor in outputs]
    if isinstance(predictions, dict) and set(predictions) == set(names):
        arrays = [predictions[name] for name in names]
    else:
        arrays = keras.tree.flatten(predictions)
    if len(arrays) != len(names):
        raise ValueError(
            f"The file has {len(names)} outputs, {names}, and the Keras model has {len(arrays)}. "
            "Check that the file was exported from this model."
        )
    return [np.asarray(array) for array in arrays]


def _histogram(steps: np.ndarray) -> dict[str, int]:
    counts = Counter(np.clip(steps, -FAR, FAR).astype(int).tolist())
    names = {-FAR: f"<=-{FAR}", FAR: f">={FAR}"}
    return {names.get(step, str(step)): counts[step] for step in sorted(counts)}
