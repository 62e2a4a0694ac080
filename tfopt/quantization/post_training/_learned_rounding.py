"""Rounding of weights that looks at the outputs, not at each weight alone."""

from collections.abc import Callable

import numpy as np

from tfopt.graph import kind
from tfopt.quantization.post_training._adaround import adaround
from tfopt.quantization.post_training._gptq import gptq
from tfopt.quantization.post_training._kernel_matrix import from_matrix, input_rows, is_product, to_matrix
from tfopt.quantization.post_training._layerwise import Visit

# Name -> function of (weight in steps, Gram matrix, codes to keep, largest code).
METHODS: dict[str, Callable[..., np.ndarray]] = {"adaround": adaround, "gptq": gptq}

ONE_BIT = "rounded to nearest: 1 bit has no other code for a sign"

# Rows of inputs that the Gram matrix is made of.
ROWS = 8192


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
    if not is_product(layer):
        return f"rounded to nearest: {method} knows no {kind(layer)}"
    if layer.weight_bits == 1:
        return ONE_BIT
    kernel = np.asarray(layer.kernel, "float64")
    step = np.broadcast_to(np.asarray(layer.weight_step(), "float64"), kernel.shape)
    step = to_matrix(layer, step)
    weight = to_matrix(layer, kernel) / step
    top = 2 ** (layer.weight_bits - 1) - 1
    rows = input_rows(layer, visit.inputs, ROWS, rng)
    gram = np.matmul(rows.transpose(0, 2, 1), rows).astype("float64") / rows.shape[1]
    codes, saved = best_codes(weight, gram, method, top)
    layer.kernel.assign(from_matrix(layer, codes * step))
    return f"{method}: {saved:.0%} less output error"


def best_codes(weight: np.ndarray, gram: np.ndarray, method: str, largest: int) -> tuple[np.ndarray, float]:
    """The codes that a method finds, for outputs that are better with them than with the nearest.

    Args:
        weight: the kernel in steps of its grid, shape (groups, inputs, outputs).
        gram: `H = X^T X`, shape (groups, inputs, inputs).
        method: a name in `METHODS`.
        largest: the largest code.

    Returns:
        Whole numbers of the kernel's shape; and the share of the outputs' squared error that is gone.
    """
    kept = (weight == 0) | (np.abs(weight) > largest - 1e-3)
    nearest = np.clip(np.round(weight), -largest, largest)
    codes = METHODS[method](weight, gram, kept, largest)
    before, after = output_error(nearest, weight, gram), output_error(codes, weight, gram)
    total, left = before.sum(), np.minimum(before, after).sum()
    return np.where(after < before, codes, nearest), float(1.0 - left / total) if total > 0 else 0.0
