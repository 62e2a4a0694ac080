"""Rounding of weights that looks at the outputs, not at each weight alone."""

from collections.abc import Callable

import numpy as np

from tfopt.graph import kind
from tfopt.quantization.post_training._adaround import adaround
from tfopt.quantization.post_training._gptq import gptq
from tfopt.quantization.post_training._kernel_matrix import KINDS, from_matrix, input_rows, to_matrix
from tfopt.quantization.post_training._layerwise import Visit

# Name -> function of (weight in steps, Gram matrix, codes to keep, largest code).
METHODS: dict[str, Callable[..., np.ndarray]] = {"adaround": adaround, "gptq": gptq}

# Rows of inputs that the Gram matrix is made of.
_ROWS = 8192


def output_error(codes: np.ndarray, weight: np.ndarray, gram: np.ndarray) -> np.ndarray:
    """The squared error of each output, `e^T H e` with `e = codes - weight`: shape (groups, 1, outputs).

    Args:
        codes: rounded weights, shape (groups, inputs, outputs).
        weight: the weights in the same unit.
        gram: `H = X^T X`, shape (groups, inputs, inputs).

    >>> import numpy as np
    >>> from tfopt.quantization.post_training._learned_rounding import output_error
    >>> output_error(np.array([[[1.0], [0.0]]]), np.array([[[0.5], [0.25]]]), np.eye(2)[None]).tolist()
    [[[0.3125]]]
    """
    error = codes - weight
    return np.sum(error * np.matmul(gram, error), axis=1, keepdims=True)


def round_kernel(visit: Visit, method: str, rng: np.random.Generator) -> str:
    """Moves a layer's kernel onto its grid, to the codes that keep the layer's outputs best.

    The kernel becomes `codes * step` exactly. The largest weight of a channel stays at the grid's end, so that the
    step does not move and what rounds the kernel later finds the same codes; a zero stays a zero, so that a pruned
    kernel stays sparse. A channel for which the method finds nothing better keeps its nearest codes.

    Args:
        visit: the layer, of which earlier layers are rounded already.
        method: a name in `METHODS`.
        rng: draws the inputs that are looked at.

    Returns:
        What was done, or why nothing, in words.
    """
    layer = visit.node.op
    if kind(layer) not in KINDS:
        return f"rounded to nearest: {method} knows no {kind(layer)}"
    kernel = np.asarray(layer.kernel, "float64")
    step = np.broadcast_to(np.asarray(layer.weight_step(), "float64"), kernel.shape)
    step = to_matrix(layer, step)
    weight = to_matrix(layer, kernel) / step
    top = 2 ** (layer.weight_bits - 1) - 1
    rows = input_rows(layer, visit.inputs, _ROWS, rng)
    gram = np.matmul(rows.transpose(0, 2, 1), rows).astype("float64") / rows.shape[1]
    kept = (weight == 0) | (np.abs(weight) > top - 1e-3)
    nearest = np.clip(np.round(weight), -top, top)
    codes = METHODS[method](weight, gram, kept, top)
    before, after = output_error(nearest, weight, gram), output_error(codes, weight, gram)
    codes = np.where(after < before, codes, nearest)
    layer.kernel.assign(from_matrix(layer, codes * step))
    total, left = before.sum(), np.minimum(before, after).sum()
    return f"{method}: {1.0 - left / total if total > 0 else 0.0:.0%} less output error"
