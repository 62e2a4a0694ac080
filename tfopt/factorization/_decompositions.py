"""Matrices and convolution kernels as products of smaller ones."""

from collections.abc import Sequence

import numpy as np


def spectrum(matrix: np.ndarray) -> np.ndarray:
    """The squared singular values of a matrix, largest first: what each rank adds to its energy.

    They are the eigenvalues of the Gram matrix of its shorter side, which is found in a fraction of the time of an SVD.

    >>> from tfopt.factorization._decompositions import spectrum
    >>> spectrum(np.array([[3.0, 0.0, 0.0], [0.0, 4.0, 0.0]]))
    array([16.,  9.])
    """
    return np.maximum(_gram(matrix)[0], 0.0)


def rank_of(squares: np.ndarray, energy: float) -> int:
    """The smallest rank that keeps a part of the energy, the sum of the squares.

    >>> from tfopt.factorization._decompositions import rank_of
    >>> [rank_of(np.array([16.0, 9.0, 0.0]), energy) for energy in (0.5, 0.7, 1.0)]
    [1, 2, 2]
    """
    kept = np.cumsum(squares)
    return 1 + int(np.searchsorted(kept, energy * kept[-1] * (1 - 1e-12)))


def low_rank(matrix: np.ndarray, rank: int) -> tuple[np.ndarray, np.ndarray]:
    """Two matrices whose product is the closest one of a rank: the truncated singular value decomposition.

    `A = U S^1/2` and `B = S^1/2 V'` for `W = U S V'` (Eckart & Young 1936): both have the same scale, which suits
    quantization.

    Args:
        matrix: `(m, n)`.
        rank: at most the smaller of m and n.

    Returns:
        `(m, rank)` and `(rank, n)`.

    >>> from tfopt.factorization._decompositions import low_rank
    >>> left, right = low_rank(np.outer([1.0, 2.0], [3.0, 4.0, 5.0]), rank=1)
    >>> np.round(left @ right, 6).tolist()
    [[3.0, 4.0, 5.0], [6.0, 8.0, 10.0]]
    """
    if matrix.shape[0] > matrix.shape[1]:
        right, left = low_rank(matrix.T, rank)
        return left.T, right.T
    squares, vectors = _gram(matrix)
    roots = np.sqrt(np.sqrt(np.maximum(squares[:rank], np.finfo("float32").tiny)))
    left = vectors[:, :rank]
    return left * roots, (left.T @ matrix) / roots[:, None]


def tucker(kernel: np.ndarray, rank_in: int, rank_out: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """A convolution's kernel as a small kernel between two matrices, Tucker-2.

    `K[.., s, t] = sum A[s, a] C[.., a, b] B[b, t]`: the leading singular vectors of both unfoldings (Kim et al. 2016,
    https://arxiv.org/abs/1511.06530).

    Args:
        kernel: `(*sizes, inputs, outputs)`.
        rank_in: channels that are left of the inputs.
        rank_out: and of the outputs.

    Returns:
        `(inputs, rank_in)`, `(*sizes, rank_in, rank_out)` and `(rank_out, outputs)`.

    >>> from tfopt.factorization._decompositions import tucker
    >>> kernel = np.arange(36.0).reshape(3, 3, 2, 2)
    >>> [part.shape for part in tucker(kernel, 1, 2)]
    [(2, 1), (3, 3, 1, 2), (2, 2)]
    """
    inputs = _gram(unfolded(kernel, -2))[1][:, :rank_in]
    outputs = _gram(unfolded(kernel, -1))[1][:, :rank_out]
    core = np.einsum("...st,sa,tb->...ab", kernel, inputs, outputs)
    return inputs, core, outputs.T


def unfolded(kernel: np.ndarray, axis: int) -> np.ndarray:
    """The kernel as a matrix with a row for each place on an axis."""
    return np.moveaxis(kernel, axis, 0).reshape(kernel.shape[axis], -1)


def product(parts: Sequence[np.ndarray]) -> np.ndarray:
    """What the parts that `low_rank` or `tucker` returned stand for."""
    if len(parts) == 2:
        return parts[0] @ parts[1]
    return np.einsum("sa,...ab,bt->...st", *parts)


def _gram(matrix: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Squared singular values, largest first, and the singular vectors of the rows, as columns."""
    rows = matrix.astype("float64")
    if rows.shape[0] <= rows.shape[1]:
        values, vectors = np.linalg.eigh(rows @ rows.T)
        return values[::-1], vectors[:, ::-1]
    values, right = np.linalg.eigh(rows.T @ rows)
    values, right = values[::-1], right[:, ::-1]
    vectors, _ = np.linalg.qr(rows @ right)  # orthogonal, in the same order; missing ranks are filled up
    return values, vectors
