"""Spaces: the numbers of a weight that are clustered together, in units in which an int8 file shares them too."""

import dataclasses
import math
from typing import Any

from keras import ops


@dataclasses.dataclass(frozen=True)
class Space:
    """How a weight becomes rows of numbers to cluster, and back.

    With `codes`, a row holds a whole kernel in units of its grid's largest code: `w * factor / scale`, where `factor`
    is what folding a batch norm multiplies each channel with and `scale` the largest product, of the channel or, with
    `one_step`, of the kernel. Weights of two channels that are equal there get equal codes in a file, while the
    channels' steps differ. Without, a row holds the values themselves, of a kernel or of one channel.

    Args:
        shape: the weight's shape.
        channels: its axes that index output channels, non-negative.
        per_channel: whether each channel is a row of its own.
        codes: whether numbers are in units of the largest code.
        one_step: whether all channels share a step.
        largest_code: the highest code of the grid.

    >>> import numpy as np
    >>> from tfopt.clustering._space import Space
    >>> units, scale = Space((2, 2), (1,), codes=True).units(np.array([[1.0, 8.0], [-0.5, 2.0]], "float32"), 1.0)
    >>> np.asarray(units).tolist(), np.asarray(scale).ravel().tolist()
    ([[1.0, -0.5, 1.0, 0.25]], [1.0, 8.0])
    """

    shape: tuple[int, ...]
    channels: tuple[int, ...]
    per_channel: bool = False
    codes: bool = False
    one_step: bool = False
    largest_code: int = 127

    @property
    def channel_count(self) -> int:
        """How many channels there are."""
        return math.prod(self.shape[axis] for axis in self.channels)

    @property
    def rows(self) -> tuple[int, int]:
        """(rows, numbers in each)."""
        size = math.prod(self.shape)
        return (self.channel_count, size // self.channel_count) if self.per_channel else (1, size)

    @property
    def fixed(self) -> tuple[float, ...]:
        """Centroids that do not move: zero, which pruned weights are; and the ends of the grid, which set the step."""
        return (-1.0, 0.0, 1.0) if self.codes else (0.0,)

    def is_fixed(self, centroids: Any) -> Any:
        """Which centroids do not move."""
        ends = ops.logical_and(self.codes, ops.equal(ops.abs(centroids), 1.0))
        return ops.logical_or(ops.equal(centroids, 0.0), ends)

    def matrix(self, weight: Any) -> Any:
        """The weight as (channels, numbers), in float32."""
        return ops.reshape(ops.transpose(ops.cast(weight, "float32"), self._order), (self.channel_count, -1))

    def weight(self, matrix: Any) -> Any:
        """The reverse of `matrix`."""
        order = self._order
        weight = ops.reshape(matrix, [self.shape[axis] for axis in order])
        return ops.transpose(weight, [order.index(axis) for axis in range(len(order))])

    def units(self, weight: Any, factor: Any) -> tuple[Any, Any]:
        """The rows, and the scale of each channel, (channels, 1).

        Args:
            weight: of `shape`.
            factor: of each channel, (channels, 1), or 1.
        """
        matrix = self.matrix(weight)
        if not self.codes:
            return ops.reshape(matrix, self.rows), ops.ones((self.channel_count, 1))
        scale = self._largest(ops.abs(matrix * factor))
        return self.in_units(matrix, factor, scale), scale

    def in_units(self, matrix: Any, factor: Any, scale: Any) -> Any:
        """The rows of a matrix whose scales are known."""
        return (
            ops.reshape(matrix * factor / scale, self.rows) if self.codes else ops.reshape(matrix, self.rows)
        )

    def values(self, units: Any, factor: Any, scale: Any) -> Any:
        """The weight of these units."""
        matrix = ops.reshape(units, (self.channel_count, -1))
        return self.weight(matrix * scale / factor if self.codes else matrix)

    def counts(self, factor: Any, scale: Any) -> Any:
        """How much each number counts: the square of what one unit is worth."""
        worth = ops.square(scale / factor) * ops.ones((self.channel_count, 1))
        per_channel = math.prod(self.shape) // self.channel_count
        return ops.reshape(ops.broadcast_to(worth, (self.channel_count, per_channel)), self.rows)

    def mean_scale(self, matrix: Any, factor: Any, members: Any, before: Any) -> Any:
        """The scale that members of the outermost clusters have on average, `before` where there are none.

        The largest of them would grow with every update, for that of several noisy numbers is above their mean.
        """
        if not self.codes:
            return before
        members = ops.cast(ops.reshape(members, (self.channel_count, -1)), "float32")
        axes = (0, 1) if self.one_step else (1,)
        count = ops.sum(members, axis=axes, keepdims=True)
        total = ops.sum(ops.abs(matrix * factor) * members, axis=axes, keepdims=True)
        return ops.where(count > 0, total / ops.maximum(count, 1.0), before)

    def _largest(self, sizes: Any) -> Any:
        largest = ops.max(sizes, axis=(0, 1) if self.one_step else (1,), keepdims=True)
        return ops.where(largest > 0, largest, 1.0)

    @property
    def _order(self) -> tuple[int, ...]:
        return (*self.channels, *(axis for axis in range(len(self.shape)) if axis not in self.channels))
