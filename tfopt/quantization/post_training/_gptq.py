"""GPTQ: each weight's rounding error is made good by the weights that are not rounded yet."""

import numpy as np

# A share of the mean diagonal is added to the Gram matrix, so that it can be inverted (section 3.3 of the paper).
_DAMPING = 0.01
_BLOCK = 128


def gptq(weight: np.ndarray, gram: np.ndarray, kept: np.ndarray, top: int) -> np.ndarray:
    """Codes of a kernel that keep its outputs on the inputs seen (Frantar et al. 2022, arXiv 2210.17323).

    With `H = X^T X` and the Cholesky factor `U` of its inverse, inputs are taken in the order of falling `H_ii`:
    `q_i = round(w_i)`, and the rows below get `w_j -= (w_i - q_i) / U_ii * U_ij`.

    Args:
        weight: the kernel in steps of its grid, shape (groups, inputs, outputs).
        gram: `H` of each group, shape (groups, inputs, inputs).
        kept: where the code must be `round(weight)`: zeros, and the channel's end of the grid.
        top: the largest code.

    Returns:
        Whole numbers from `-top` to `top`, as float64, of the kernel's shape.

    >>> import numpy as np
    >>> from tfopt.quantization.post_training._gptq import gptq
    >>> weight = np.array([[[0.4], [0.4], [7.0]]])
    >>> same_inputs = np.array([[[1.0, 0.99, 0.0], [0.99, 1.0, 0.0], [0.0, 0.0, 1.0]]])
    >>> gptq(weight, same_inputs, weight == 7.0, top=7).ravel().tolist()  # 0.4 + 0.4 is nearer to 1 than to 0
    [0.0, 1.0, 7.0]
    """
    codes = np.empty_like(weight)
    for group in range(len(weight)):
        order = np.argsort(-np.diagonal(gram[group]), kind="stable")
        rows = _one_group(weight[group][order], gram[group][np.ix_(order, order)], kept[group][order], top)
        codes[group, order] = rows
    return codes


def _one_group(weight: np.ndarray, gram: np.ndarray, kept: np.ndarray, top: int) -> np.ndarray:
    upper = _inverse_factor(gram)
    weight, codes, size = weight.copy(), np.empty_like(weight), len(weight)
    fixed = np.round(weight)
    for start in range(0, size, _BLOCK):
        end = min(start + _BLOCK, size)
        errors = np.empty((end - start, weight.shape[1]))
        for row in range(start, end):
            codes[row] = np.where(kept[row], fixed[row], np.clip(np.round(weight[row]), -top, top))
            errors[row - start] = (weight[row] - codes[row]) / upper[row, row]
            weight[row + 1 : end] -= np.outer(upper[row, row + 1 : end], errors[row - start])
        # Rows beyond the block once a block: one product of matrices in place of many outer ones.
        weight[end:] -= upper[start:end, end:].T @ errors
    return codes


def _inverse_factor(gram: np.ndarray) -> np.ndarray:
    """`U`, upper triangular, with `U^T U` the inverse of the damped Gram matrix."""
    diagonal = np.diagonal(gram)
    damped = gram + np.diag(np.full(len(gram), _DAMPING * max(float(diagonal.mean()), 1e-12)))
    return np.linalg.cholesky(np.linalg.inv(damped)).T
