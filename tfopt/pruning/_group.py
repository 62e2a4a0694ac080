"""A group: weights that are pruned together, with the layout in which a pattern reads each."""

import dataclasses
import math

import keras
import numpy as np

from tfopt.pruning._layouts import Layout
from tfopt.pruning._masks import zero_count
from tfopt.pruning._patterns import Pattern


@dataclasses.dataclass(frozen=True, eq=False)
class Member:
    """A weight of a group, and the layout in which a pattern reads it."""

    layer: keras.layers.Layer
    variable: keras.Variable
    layout: Layout


@dataclasses.dataclass(frozen=True, eq=False)
class Group:
    """Weights that share one mask of units (see `_patterns`).

    Attributes:
        pattern: the pattern.
        kernels: the weights that are scored and counted.
        followers: biases, gammas and betas that become zero with a unit, and are not counted.
        gammas: the scales of the batch norms that follow.
    """

    pattern: Pattern
    kernels: tuple[Member, ...]
    followers: tuple[Member, ...] = ()
    gammas: tuple[Member, ...] = ()

    @property
    def members(self) -> tuple[Member, ...]:
        """All weights."""
        return self.kernels + self.followers

    @property
    def size(self) -> int:
        """How many weights are counted."""
        return sum(math.prod(member.layout.matrix_shape) for member in self.kernels)

    @property
    def unit_count(self) -> int:
        """How many units there are."""
        return self.size if self.sizes is None else len(self.sizes)

    @property
    def limit(self) -> int:
        """How many weights may be zero."""
        if len(self.kernels) == 1:
            return self.pattern.limit(self.kernels[0].layout.matrix_shape)
        return self.size - 1

    @property
    def plain(self) -> bool:
        """Whether the units are the weights of a single kernel, in their order."""
        return type(self.pattern) is Pattern and len(self.kernels) == 1 and self.kernels[0].layout.in_order

    @property
    def sizes(self) -> np.ndarray | None:
        """Counted weights in each unit; None where each has one."""
        found = [self.pattern.sizes(member.layout.matrix_shape) for member in self.kernels]
        return found[0] if len(found) == 1 else np.sum(np.stack(found), axis=0, dtype="int32")  # type: ignore[arg-type]

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of the kernel; with several kernels, that of a matrix with the weights of all."""
        if len(self.kernels) == 1:
            return self.kernels[0].layout.shape
        return self.size // self.unit_count, self.unit_count

    def zeros(self, sparsity: float) -> int:
        """How many weights are zero at this sparsity."""
        if len(self.kernels) == 1:
            return self.pattern.zeros(sparsity, self.kernels[0].layout.matrix_shape)
        return zero_count(sparsity, self.size)
