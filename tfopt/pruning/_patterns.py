"""Patterns: the units in which weights are removed, on weights as (positions, inputs, outputs).

In this package a unit is what a mask keeps or removes as a whole: one weight, a block of weights, an output channel or
an attention head.
"""

import dataclasses
import functools
import math
import re
from typing import Any

import numpy as np
from keras import ops

from tfopt.pruning._masks import sortable_integers, zero_count

Shape = tuple[int, int, int]


@dataclasses.dataclass(frozen=True)
class Pattern:
    """Base of the patterns, and the unstructured pattern itself: every weight is a unit.

    A pattern is four pure functions: `pool` makes scores of units from scores of weights, `spread` makes a mask of
    weights from a mask of units, `sizes` gives the number of weights in each unit, `limit` the number that may be zero.
    """

    def pool(self, scores: Any) -> Any:
        """One score per unit, flat: the mean over its weights."""
        return ops.reshape(scores, (-1,))

    def spread(self, units: Any, shape: Shape) -> Any:
        """The mask of the weights from that of the units."""
        return ops.reshape(units, shape)

    def sizes(self, shape: Shape) -> np.ndarray | None:
        """Weights in each unit, int32, flat; None if each has one."""
        return None

    def limit(self, shape: Shape) -> int:
        """How many weights may be zero at most."""
        return math.prod(shape) - 1

    def zeros(self, sparsity: float, shape: Shape) -> int:
        """How many weights are zero at this sparsity, before it is rounded down to whole units."""
        return zero_count(sparsity, math.prod(shape))


@dataclasses.dataclass(frozen=True)
class NofM(Pattern):
    """At most `n` of `m` consecutive inputs of an output are kept (Mishra et al. 2021, arXiv 2104.08378).

    An incomplete group at the last input is treated as padded with zeros, as the kernels of runtimes do: with 2:4 and
    6 inputs the last two are both kept. Before the final sparsity is reached, the first weights to be removed are the
    lowest of those that no group can keep.
    """

    n: int
    m: int

    @property
    def final(self) -> float:
        """The sparsity at which the pattern holds: (m - n) / m."""
        return (self.m - self.n) / self.m

    def pool(self, scores: Any) -> Any:
        """The scores, infinite for the `n` highest of each group; of equal ones the last is kept."""
        shape = tuple(scores.shape)
        groups = self._grouped(scores)
        ranks = sortable_integers(groups)
        index = ops.reshape(ops.arange(self.m, dtype="int32"), (1, 1, self.m, 1))
        above = ops.zeros_like(ranks)
        for other in range(self.m):
            rival = ranks[:, :, other : other + 1]
            wins = ops.logical_or(rival > ranks, ops.logical_and(ops.equal(rival, ranks), index < other))
            above = above + ops.cast(wins, "int32")
        infinite = ops.cast(float("inf"), groups.dtype)
        return ops.reshape(self._ungrouped(ops.where(above < self.n, infinite, groups), shape), (-1,))

    def limit(self, shape: Shape) -> int:
        """(m - n) per group, and in a shorter last group those beyond n."""
        whole, rest = divmod(shape[1], self.m)
        return shape[0] * shape[2] * (whole * (self.m - self.n) + max(0, rest - self.n))

    def zeros(self, sparsity: float, shape: Shape) -> int:
        """In proportion to the final sparsity, at which every group keeps n. Three digits of it are precise enough."""
        if sparsity > self.final + 1e-3:
            raise ValueError(
                f"The schedule of Pruning must return at most {self.final:.3g} for pattern '{self.n}:{self.m}', which "
                f"keeps {self.n} of {self.m}. Got {sparsity!r} instead. Let it end at {self.final:.3g}."
            )
        if sparsity > self.final - 1e-3:
            return self.limit(shape)
        return round(self.limit(shape) * sparsity / self.final)

    def _grouped(self, scores: Any) -> Any:
        positions, inputs, outputs = scores.shape
        scores = ops.cast(scores, "float32")
        # The padding is lower than any score, so that it is never among the n that are kept.
        scores = ops.pad(scores, ((0, 0), (0, -inputs % self.m), (0, 0)), constant_values=float("-inf"))
        return ops.reshape(scores, (positions, -1, self.m, outputs))

    def _ungrouped(self, groups: Any, shape: Shape) -> Any:
        return ops.reshape(groups, (shape[0], -1, shape[2]))[:, : shape[1]]


@dataclasses.dataclass(frozen=True)
class Block(Pattern):
    """`rows` consecutive outputs times `columns` consecutive inputs, as in TFLite's (outputs, inputs) kernels.

    In a convolution a block is inside one tap. Blocks at the edge are smaller.
    """

    rows: int
    columns: int

    def pool(self, scores: Any) -> Any:
        shape = tuple(scores.shape)
        sums = ops.reshape(self._sums(ops.cast(scores, "float32")), (-1,))
        return sums / ops.cast(self.sizes(shape), "float32")

    def spread(self, units: Any, shape: Shape) -> Any:
        positions, inputs, outputs = shape
        blocks = (positions, -(-inputs // self.columns), -(-outputs // self.rows))
        mask = ops.reshape(units, blocks)
        mask = ops.repeat(ops.repeat(mask, self.columns, axis=1), self.rows, axis=2)
        return mask[:, :inputs, :outputs]

    def sizes(self, shape: Shape) -> np.ndarray:
        def lengths(size: int, step: int) -> np.ndarray:
            return np.minimum(step, size - np.arange(0, size, step))

        inputs, outputs = lengths(shape[1], self.columns), lengths(shape[2], self.rows)
        return np.tile(np.outer(inputs, outputs).ravel(), shape[0]).astype("int32")

    def _sums(self, scores: Any) -> Any:
        positions, inputs, outputs = scores.shape
        scores = ops.pad(scores, ((0, 0), (0, -inputs % self.columns), (0, -outputs % self.rows)))
        columns, rows = self.columns, self.rows
        scores = ops.reshape(scores, (positions, -1, columns, (outputs + rows - 1) // rows, rows))
        return ops.sum(scores, axis=(2, 4))


@dataclasses.dataclass(frozen=True)
class Lanes(Pattern):
    """Each output channel is a unit; with `count`, each of so many equal parts of the outputs: an attention head."""

    count: int | None = None

    def pool(self, scores: Any) -> Any:
        positions, inputs, outputs = scores.shape
        count = self.count or outputs
        scores = ops.reshape(ops.cast(scores, "float32"), (positions * inputs, count, outputs // count))
        return ops.mean(scores, axis=(0, 2))

    def spread(self, units: Any, shape: Shape) -> Any:
        width = shape[2] // (self.count or shape[2])
        return ops.broadcast_to(ops.repeat(units, width), shape)

    def sizes(self, shape: Shape) -> np.ndarray:
        count = self.count or shape[2]
        return np.full(count, math.prod(shape) // count, "int32")


@functools.cache
def parse_pattern(text: str) -> Pattern:
    """The pattern that a string names: a row of the table below.

    Args:
        text: `"unstructured"`, `"channels"`, `"heads"`, `"N:M"` or `"RxC"`.

    Raises:
        ValueError: the string names no pattern.

    >>> from tfopt.pruning import parse_pattern
    >>> parse_pattern("2:4"), parse_pattern("1x4"), parse_pattern("channels")
    (NofM(n=2, m=4), Block(rows=1, columns=4), Lanes(count=None))
    """
    if isinstance(text, str):
        for form, make in _FORMS:
            match = re.fullmatch(form, text)
            made = make(*map(int, match.groups())) if match else None
            if made is not None and _sensible(made):
                return made
    raise ValueError(
        "The 'pattern' argument of Pruning must be 'unstructured', 'channels', 'heads', 'N:M' with 1 <= N < M <= 64, "
        f"such as '2:4', or 'RxC', such as '1x4'. Got {text!r} instead. "
        "'1x4' is blocks of 4 inputs of one output."
    )


_FORMS: tuple[tuple[str, Any], ...] = (
    ("unstructured", Pattern),
    (r"(\d+):(\d+)", NofM),
    (r"(\d+)x(\d+)", Block),
    ("channels|heads", Lanes),
)


def _sensible(pattern: Pattern) -> bool:
    if isinstance(pattern, NofM):
        return 1 <= pattern.n < pattern.m <= 64
    return not isinstance(pattern, Block) or min(pattern.rows, pattern.columns) >= 1
