"""Post-training correction of an LSTM: each gate is a product of what a step reads, inputs and states, with one matrix.

The operator has one step for each gate of each kernel, not one for each output channel, and reads what it wrote: what
rounding adds to a gate adds up from step to step. That costs more than all else that the operator rounds.
"""

import keras
import numpy as np

from tfopt.quantization.post_training._layerwise import Visit
from tfopt.quantization.post_training._learned_rounding import ONE_BIT, ROWS, best_codes

_GATES = 4


def round_gates(visit: Visit, method: str, rng: np.random.Generator) -> str:
    """Moves both kernels of an LSTM onto their grids, to the codes that keep the sums of the gates best.

    Inputs and states are correlated, so the two kernels make good for each other: a gate's sum is `[x, h] [K; R] + b`,
    and its error has the Gram matrix of `[x, h]` in it. A mean error costs nothing where there is a bias to take it:
    then the matrix is the covariance, and the bias is corrected. States are those of the float layer.

    Args:
        visit: the layer, of which earlier layers are rounded already.
        method: a name in `METHODS`.
        rng: draws the steps that are looked at.

    Returns:
        What was done, in words.
    """
    layer = visit.node.op
    if layer.weight_bits == 1:
        return ONE_BIT
    kernels = [np.asarray(kernel, "float64") for kernel in (layer.cell.kernel, layer.cell.recurrent_kernel)]
    weight = _by_gate(np.concatenate(kernels))
    stored = layer.stored()
    steps = np.concatenate(
        [
            np.repeat(np.asarray(each, "float64")[:, None, None], len(kernel), axis=1)
            for each, kernel in zip((stored.kernel_steps, stored.recurrent_steps), kernels, strict=True)
        ],
        axis=1,
    )
    rows = np.concatenate(_read(visit, visit.inputs), axis=1)
    rows = rows[np.sort(rng.choice(len(rows), ROWS, replace=False))] if len(rows) > ROWS else rows
    centred = rows - rows.mean(axis=0) if _has_own_bias(visit) else rows
    gram = centred.T @ centred / len(rows) * steps * steps.transpose(0, 2, 1)
    codes, saved = best_codes(weight / steps, gram, method, layer.grid.largest_code)
    found = _side_by_side(codes * steps)
    layer.cell.kernel.assign(found[: len(kernels[0])])
    layer.cell.recurrent_kernel.assign(found[len(kernels[0]) :])
    if _has_own_bias(visit):
        correct_gates(visit)
    return f"{method}: {saved:.0%} less output error"


def correct_gates(visit: Visit) -> str:
    """Takes the mean error of each gate's sum out of its bias, as `correct_bias` does for other layers.

    `b <- b - (E[x' K' + h R'] - E[x K + h R])`, with `h` the states of the float layer and `'` for what is rounded.

    Args:
        visit: the layer, of which earlier layers are corrected already.

    Returns:
        What was done, or why nothing, in words.
    """
    layer, bias = visit.node.op, visit.node.op.cell.bias
    if visit.is_shared:
        return "bias not corrected: it is called more than once"
    if bias is None:
        return "bias not corrected: it has none"
    exact, stored = visit.exact.cell, layer.stored()
    rounded = [
        np.asarray(codes, "float64") * np.repeat(np.asarray(steps, "float64"), layer.units)
        for codes, steps in ((stored.kernel, stored.kernel_steps), (stored.recurrent, stored.recurrent_steps))
    ]
    found = _mean(_read(visit, visit.inputs), rounded)
    wanted = _mean(_read(visit, visit.exact_inputs), [exact.kernel, exact.recurrent_kernel])
    bias.assign(np.asarray(exact.bias, "float64") - (found - wanted))
    return "bias corrected"


def _has_own_bias(visit: Visit) -> bool:
    return visit.node.op.cell.bias is not None and not visit.is_shared


def _read(visit: Visit, inputs: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """What each step of each sample reads: inputs (rows, inputs), and the float layer's states (rows, units)."""
    hidden = keras.ops.convert_to_numpy(visit.exact(visit.exact_inputs))
    before = np.pad(hidden[:, :-1], ((0, 0), (1, 0), (0, 0)))
    flat = (each.reshape(-1, each.shape[-1]).astype("float64") for each in (inputs, before))
    x, h = flat
    return x, h


def _mean(rows: tuple[np.ndarray, np.ndarray], kernels: list) -> np.ndarray:
    return sum(
        each.mean(axis=0) @ np.asarray(kernel, "float64") for each, kernel in zip(rows, kernels, strict=True)
    )


def _by_gate(kernel: np.ndarray) -> np.ndarray:
    """(rows, 4 * units) as (4, rows, units)."""
    return kernel.reshape(len(kernel), _GATES, -1).transpose(1, 0, 2)


def _side_by_side(gates: np.ndarray) -> np.ndarray:
    """The inverse of `_by_gate`."""
    return gates.transpose(1, 0, 2).reshape(gates.shape[1], -1)
