"""A point of the front as a model, without training."""

import re
from typing import Any

import keras
import numpy as np

from tfopt.budgets._options import zeroed
from tfopt.budgets._report import Point
from tfopt.graph import capture
from tfopt.quantization import QuantConfig, quantize


def apply_point(model: keras.Model, point: Point, calibration: Any) -> keras.Model:
    """Quantizes a model as a point of the front says, the smallest weights of each layer made zero; nothing is trained.

    Args:
        model: the float model. It is as it was afterwards.
        point: what each layer becomes.
        calibration: samples, as for `quantize`.

    Returns:
        What `quantize` returns.
    """
    layers = {node.path: node.op for node in capture(model).nodes}
    kept: list[tuple[keras.Variable, np.ndarray]] = []
    try:
        for one in point.layers:
            if one.sparsity:
                (kernel,) = (w for w in layers[one.path].weights if len(w.shape) > 1)  # type: ignore[attr-defined]
                kept.append((kernel, np.asarray(kernel.value)))
                kernel.assign(zeroed(kept[-1][1], one.sparsity))
        overrides = {
            f"^{re.escape(one.path)}$": {"weight_bits": one.bits} for one in point.layers if one.bits != 8
        }
        return quantize(model, calibration, QuantConfig.for_target(point.target, overrides=overrides))
    finally:
        for kernel, exact in kept:
            kernel.assign(exact)
