"""Budgets: how many zeros each layer gets, so that all layers together reach the target."""

import math
import re
from collections.abc import Mapping, Sequence
from typing import Any

from tfopt.pruning._checks import named

SCOPES = ("layer", "global", "erk")
Bounds = tuple[float, float] | Mapping[str, tuple[float, float]]


def erk_densities(shapes: Sequence[tuple[int, ...]], sparsity: float) -> list[float]:
    """Densities in proportion to `sum(shape) / prod(shape)`: small and narrow layers stay denser than large ones.

    Erdos-Renyi-Kernel (Evci et al. 2020, "Rigging the lottery", https://arxiv.org/abs/1911.11134, section 3). A layer
    whose density would exceed 1 is dense, and the other layers get more zeros instead.

    Args:
        shapes: the shapes of the kernels.
        sparsity: the fraction of zeros over all kernels, in [0, 1).

    Returns:
        A density in (0, 1] per kernel.

    >>> from tfopt.pruning import erk_densities
    >>> [round(density, 3) for density in erk_densities([(3, 3, 4, 4), (3, 3, 16, 16)], 0.9)]
    [0.458, 0.078]
    """
    sizes = [math.prod(shape) for shape in shapes]
    raw = [sum(shape) / size for shape, size in zip(shapes, sizes, strict=True)]
    dense: set[int] = set()
    while True:
        rest = [index for index in range(len(shapes)) if index not in dense]
        if not rest:
            return [1.0] * len(shapes)
        left = (1.0 - sparsity) * sum(sizes) - sum(sizes[index] for index in dense)
        factor = left / sum(raw[index] * sizes[index] for index in rest)
        over = {index for index in rest if factor * raw[index] > 1.0}
        if not over:
            return [1.0 if index in dense else factor * raw[index] for index in range(len(shapes))]
        dense |= over


def erk_zeros(shapes: Sequence[tuple[int, ...]], limits: Sequence[int], sparsity: float) -> list[int]:
    """The number of zeros per kernel, with an exact sum: kernels with the largest remainders are rounded up.

    >>> erk_zeros([(3, 3, 4, 4), (3, 3, 16, 16)], [143, 2303], 0.9)
    [78, 2125]
    """
    exact = [
        math.prod(shape) * (1.0 - density)
        for shape, density in zip(shapes, erk_densities(shapes, sparsity), strict=True)
    ]
    zeros = [min(math.floor(value), limit) for value, limit in zip(exact, limits, strict=True)]
    missing = round(sparsity * sum(math.prod(shape) for shape in shapes)) - sum(zeros)
    order = sorted(range(len(zeros)), key=lambda index: zeros[index] - exact[index])
    while missing > 0 and any(zero < limit for zero, limit in zip(zeros, limits, strict=True)):
        for index in order:
            if missing > 0 and zeros[index] < limits[index]:
                zeros[index] += 1
                missing -= 1
    return zeros


def bounds_for(bounds: Bounds, path: str) -> tuple[float, float]:
    """Lowest and highest sparsity of a layer: the pair of the first regular expression that is found in its path.

    >>> bounds_for({"head": (0.0, 0.5)}, "net/head/kernel"), bounds_for({"head": (0.0, 0.5)}, "net/stem/kernel")
    ((0.0, 0.5), (0.0, 1.0))
    """
    if isinstance(bounds, Mapping):
        return next((pair for form, pair in bounds.items() if re.search(form, path)), (0.0, 1.0))
    return bounds


def limits(bounds: tuple[float, float], sparsity: float, size: int, limit: int) -> tuple[int, int]:
    """Fewest and most zeros of a layer. A target outside of the bounds takes precedence over them.

    >>> limits((0.25, 0.9), 0.8, size=100, limit=99), limits((0.25, 0.9), 0.99, size=100, limit=99)
    ((25, 90), (25, 99))
    """
    low, high = min(bounds[0], sparsity), max(bounds[1], sparsity)
    most = min(math.ceil(high * size - 1e-6), limit)
    return min(math.floor(low * size + 1e-6), most), most


def check_scope(scope: Any, bounds: Any) -> None:
    """Raise unless scope is known and the bounds are pairs of sparsities."""
    if scope not in SCOPES:
        raise ValueError(
            f"The 'scope' argument of Pruning must be {named(SCOPES)}. Got {scope!r} instead. 'global' lets layers "
            "differ in sparsity."
        )
    for pair in bounds.values() if isinstance(bounds, Mapping) else [bounds]:
        good = isinstance(pair, (tuple, list)) and len(pair) == 2
        if not good or not 0 <= pair[0] <= pair[1] <= 1:
            raise ValueError(
                "The 'bounds' argument of Pruning must be a pair (lowest, highest) of sparsities in [0, 1], or a dict "
                f"from regular expressions to such pairs. Got {bounds!r} instead. The default is (0.0, 0.98)."
            )
