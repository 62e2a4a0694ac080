"""Convolution kernels as sums of products of three vectors."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

# Left vectors, singular values and right vectors of the matrices along an axis.
Slices = tuple[np.ndarray, np.ndarray, np.ndarray]

# Alternating least squares ends after so many rounds, or when a round takes less than this part off the error.
_ROUNDS, _ENOUGH = 50, 1e-3
# Ranks at which the error is measured, as parts of that from which on nothing is saved, and after how many rounds.
_TRIED, _BEGUN = (1 / 16, 1 / 8, 1 / 4, 1 / 2, 1), 10
_MANY = 2**18
# How strongly a round holds on to the one before, and the largest sum of the terms' energies, in those of the kernel:
# terms that grow and cancel each other would not survive a grid of 8 bits.
_PROXIMAL, _CANCELLING = 1e-3, 8.0


class Polyadic(NamedTuple):
    """Terms of a kernel: `K[.., s, t] = sum_r D[.., r] A[s, r] B[t, r]`.

    Attributes:
        positions: D, `(positions, rank)`.
        inputs: A, `(inputs, rank)`.
        outputs: B, `(outputs, rank)`.
    """

    positions: np.ndarray
    inputs: np.ndarray
    outputs: np.ndarray


def polyadic_spectrum(kernel: np.ndarray) -> np.ndarray:
    """About what each rank adds to the energy that a polyadic decomposition keeps; at the last rank all is kept.

    The decomposition is begun at a few ranks. Between them the error is interpolated, as a part of that of orthogonal
    terms, which are known at all ranks.

    Args:
        kernel: `(*sizes, inputs, outputs)`.

    >>> from tfopt.factorization._polyadic import polyadic_spectrum
    >>> rng = np.random.default_rng(0)
    >>> kernel = np.einsum("hwr,sr,tr->hwst", *(rng.normal(size=size) for size in ((3, 3, 2), (6, 2), (5, 2))))
    >>> bool(polyadic_spectrum(kernel)[:2].sum() > 0.9 * np.sum(kernel**2))
    True
    """
    cube = _cube(kernel)
    slices = _slices(cube)
    squares = _kept(slices)
    energy = float(squares.sum())
    left = np.maximum(energy - np.cumsum(squares), 0.0)
    as_large = cube.size / sum(cube.shape)  # terms whose vectors have as many numbers as the kernel
    tried = sorted({max(1, round(part * as_large)) for part in _TRIED if round(part * as_large) < len(left)})
    if not tried or not energy:
        return squares
    found = [_error(cube, _fitted(cube, slices, rank, _BEGUN)) for rank in tried]
    parts = [error / max(left[rank - 1], 1e-12 * energy) for error, rank in zip(found, tried, strict=True)]
    part = np.minimum(np.interp(np.arange(1, len(left) + 1), tried, parts), 1.0)
    return -np.diff(np.minimum.accumulate(left * part), prepend=energy)


def orthogonal_spectrum(kernel: np.ndarray) -> np.ndarray:
    """What each rank adds to the energy that a polyadic decomposition is sure to keep.

    A kernel falls into matrices, one for each input, output or position. The terms of their singular value
    decompositions are orthogonal, so that the strongest of them keep their squares; of the three ways it is the best
    one at each rank. At the last rank all is kept.

    Args:
        kernel: `(*sizes, inputs, outputs)`.

    >>> from tfopt.factorization._polyadic import orthogonal_spectrum
    >>> kernel = np.zeros((3, 3, 4, 5))
    >>> kernel[0, 0, 1, 2], kernel[2, 1, 1, 3] = 3.0, 4.0
    >>> orthogonal_spectrum(kernel)[:3]
    array([16.,  9.,  0.])
    """
    return _kept(_slices(_cube(kernel)))


def polyadic(kernel: np.ndarray, rank: int) -> Polyadic:
    """The canonical polyadic decomposition of a convolution's kernel, its positions taken as one axis.

    Alternating least squares, each round held near the one before (Li, Kindermann & Navasca 2013, "Some convergence
    results on the regularized alternating least-squares method", arXiv 1109.3831), from the orthogonal terms of
    `orthogonal_spectrum`. A convolution with it is a pointwise one, a depthwise one and a pointwise one (Lebedev et al.
    2015, https://arxiv.org/abs/1412.6553).

    Args:
        kernel: `(*sizes, inputs, outputs)`.
        rank: the number of terms.

    >>> from tfopt.factorization._polyadic import composed, polyadic
    >>> rng = np.random.default_rng(0)
    >>> kernel = np.einsum("hwr,sr,tr->hwst", *(rng.normal(size=size) for size in ((3, 3, 2), (6, 2), (5, 2))))
    >>> found = polyadic(kernel, rank=2)
    >>> bool(np.abs(composed(found, (3, 3)) - kernel).max() < 0.01)
    True
    """
    cube = _cube(kernel)
    return Polyadic(*_fitted(cube, _slices(cube), rank, _ROUNDS))


def composed(terms: Polyadic, sizes: tuple[int, ...]) -> np.ndarray:
    """The kernel `(*sizes, inputs, outputs)` that terms stand for."""
    cube = _product(*terms)
    return cube.reshape(*sizes, *cube.shape[1:])


def _cube(kernel: np.ndarray) -> np.ndarray:
    """Positions, inputs, outputs; in float32, twice as fast, where there are many numbers."""
    return kernel.reshape(-1, *kernel.shape[-2:]).astype("float32" if kernel.size > _MANY else "float64")


def _product(positions: np.ndarray, inputs: np.ndarray, outputs: np.ndarray) -> np.ndarray:
    return (positions[:, None, :] * inputs) @ outputs.T


def _slices(cube: np.ndarray) -> list[Slices]:
    """The matrices along each axis, decomposed."""
    return [np.linalg.svd(np.moveaxis(cube, axis, 0), full_matrices=False) for axis in range(3)]


def _squares(slices: Slices) -> np.ndarray:
    """Those of the singular values of all matrices, largest first."""
    return np.sort(slices[1].ravel() ** 2)[::-1]


def _kept(slices: Sequence[Slices]) -> np.ndarray:
    """What each rank adds, by the best axis."""
    squares = [_squares(one) for one in slices]
    ranks = min(map(len, squares))
    return np.diff(np.max([np.cumsum(one)[:ranks] for one in squares], axis=0), prepend=0.0)


def _start(slices: Sequence[Slices], rank: int) -> list[np.ndarray]:
    """The strongest orthogonal terms: vectors of positions, inputs and outputs, as columns."""
    axis = int(np.argmax([_squares(one)[:rank].sum() for one in slices]))
    left, values, right = slices[axis]
    order = np.argsort(-values, axis=None, kind="stable")[:rank]
    matrix, term = np.unravel_index(order, values.shape)
    unit = np.zeros((len(values), len(order)), values.dtype)
    unit[matrix, np.arange(len(order))] = values.ravel()[order]
    others = [left[matrix, :, term].T, right[matrix, term].T]
    return [*others[:axis], unit, *others[axis:]]


def _fitted(cube: np.ndarray, slices: Sequence[Slices], rank: int, rounds: int) -> list[np.ndarray]:
    """The terms after so many rounds at most."""
    terms, energy = _balanced(_start(slices, rank)), float(np.sum(cube * cube))
    error = _error(cube, terms)
    for _ in range(rounds):
        if error <= 1e-12 * energy:
            break
        better = _round(cube, terms)
        if np.sum(np.prod([np.sum(one * one, axis=0) for one in better], axis=0)) > _CANCELLING * energy:
            break
        terms = better
        last, error = error, _error(cube, terms)
        if last - error <= _ENOUGH * last:
            break
    return terms


def _round(cube: np.ndarray, terms: list[np.ndarray]) -> list[np.ndarray]:
    """Each of the three, the best for the two others."""
    positions, inputs, outputs = terms
    by_outputs = cube @ outputs  # positions, inputs, rank
    inputs = _solved((by_outputs * positions[:, None]).sum(axis=0), inputs, positions, outputs)
    positions = _solved((by_outputs * inputs).sum(axis=1), positions, inputs, outputs)
    by_inputs = cube.transpose(0, 2, 1) @ inputs
    outputs = _solved((by_inputs * positions[:, None]).sum(axis=0), outputs, inputs, positions)
    return _balanced([positions, inputs, outputs])


def _solved(right: np.ndarray, before: np.ndarray, one: np.ndarray, other: np.ndarray) -> np.ndarray:
    gram = (one.T @ one) * (other.T @ other)
    weight = _PROXIMAL * np.trace(gram) / len(gram)
    return np.linalg.solve(gram + weight * np.eye(len(gram), dtype=gram.dtype), (right + weight * before).T).T


def _balanced(terms: list[np.ndarray]) -> list[np.ndarray]:
    """The same terms, each with vectors of one length, which suits quantization."""
    lengths = [np.maximum(np.linalg.norm(one, axis=0), 1e-30) for one in terms]
    length = np.cbrt(np.prod(lengths, axis=0))
    return [one * (length / own) for one, own in zip(terms, lengths, strict=True)]


def _error(cube: np.ndarray, terms: list[np.ndarray]) -> float:
    difference = cube - _product(*terms)
    return float(np.sum(difference * difference))
