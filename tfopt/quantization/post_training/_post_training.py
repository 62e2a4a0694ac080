"""Post-training quality: what can be mended without training, one argument of `quantize` each."""

from collections import defaultdict
from typing import Any

import keras
import numpy as np

from tfopt.quantization.post_training._bias_correction import correct_bias
from tfopt.quantization.post_training._layerwise import Visit, visit_layers
from tfopt.quantization.post_training._learned_rounding import METHODS, round_kernel
from tfopt.quantization.post_training._lstm_gates import correct_gates, round_gates
from tfopt.quantization.simulation import QuantizedLSTM

ROUNDINGS = ("nearest", *METHODS)


def check_rounding(rounding: str) -> None:
    """Raises ValueError for an unknown way to round."""
    if rounding not in ROUNDINGS:
        raise ValueError(
            f"The 'rounding' argument must be one of {', '.join(map(repr, ROUNDINGS))}. Got {rounding!r} instead."
        )


def improve(model: keras.Model, samples: Any, rounding: str, bias: bool) -> dict[str, str]:
    """Rounds kernels by their outputs and corrects biases, layer by layer in one pass.

    Args:
        model: what `quantize` made, not trained yet. Its weights are changed.
        samples: the calibration data.
        rounding: `"nearest"` changes no kernel; else a name in `METHODS`.
        bias: whether to correct biases, after the kernel is rounded.

    Returns:
        For each layer's name what was done, in words.
    """
    notes: dict[str, list[str]] = defaultdict(list)
    rng = np.random.default_rng(0)

    def amend(visit: Visit) -> None:
        done = notes[visit.node.op.name]
        has_gates = isinstance(visit.node.op, QuantizedLSTM)
        if rounding != "nearest":
            done.append((round_gates if has_gates else round_kernel)(visit, rounding, rng))
        if bias:
            done.append((correct_gates if has_gates else correct_bias)(visit))

    visit_layers(model, samples, amend)
    return {name: "; ".join(done) for name, done in notes.items()}
