"""A point of the front as a model, without training."""

import re
from typing import Any

import keras
import numpy as np

from tfopt.budgets._options import Option
from tfopt.budgets._report import Point
from tfopt.budgets._shapes import Shape
from tfopt.graph import capture
from tfopt.quantization import QuantConfig, quantize


def apply_point(model: keras.Model, point: Point, calibration: Any) -> keras.Model:
    """Makes of a model what a point of the front says: channels and ranks, zeros, shared values and bits. No training.

    Args:
        model: the float model. It is as it was afterwards.
        point: what each layer becomes.
        calibration: samples, as for `quantize`; batch norms behind fewer channels are measured again with them.

    Returns:
        What `quantize` returns.
    """
    small = Shape(point.channels, point.ranks).make(model, calibration)
    layers = {node.path: node.op for node in capture(small).nodes}
    kept: list[tuple[keras.Variable, np.ndarray]] = []
    try:
        for one in point.layers:
            if one.sparsity or one.n_clusters:
                (kernel,) = (w for w in layers[one.path].weights if len(w.shape) > 1)  # type: ignore[attr-defined]
                kept.append((kernel, np.asarray(kernel.value)))
                option = Option(one.bits, one.sparsity, one.n_clusters)
                kernel.assign(option.weight(layers[one.path], kept[-1][1]))
        overrides = {
            f"^{re.escape(one.path)}$": {"weight_bits": one.bits} for one in point.layers if one.bits != 8
        }
        return quantize(small, calibration, QuantConfig.for_target(point.target, overrides=overrides))
    finally:
        for kernel, exact in kept:
            kernel.assign(exact)
