"""Masks of widths: which channels are there at each width, and on which axes of which weights they lie."""

from collections.abc import Iterator, Sequence
from typing import Any

import keras
import numpy as np
from keras import ops

from tfopt.budgets._gates import prefix_masks
from tfopt.budgets._shapes import DIVISOR, Move
from tfopt.channels import MADE, READ, Channels, Group


class WidthMasks:
    """Slices of shared weights: a width has the first channels of an order that stands still.

    Args:
        moves: channels that may be fewer; the parts of each begin with 1.0, all of them.
        channels: the analysis of the model.
        scores: of the units of channels: in each group the lowest go first.
    """

    def __init__(self, moves: Sequence[Move], channels: Channels, scores: np.ndarray) -> None:
        self.count = channels.count
        self.choices = [_choice(move, channels, scores) for move in moves]
        self.slots: dict[int, list[tuple[int, np.ndarray, str]]] = {}
        for slot in channels.slots:
            self.slots.setdefault(id(slot.variable), []).append((slot.axis, slot.units, slot.role))

    def parts(self, chosen: Sequence[Any]) -> Any:
        """For each unit how much of it is there; one more for indices that stay.

        Args:
            chosen: for each move a vector of how much each of its widths is there; sums to 1.
        """
        parts = ops.ones((self.count + 1,))
        for (units, masks), one in zip(self.choices, chosen, strict=True):
            parts = ops.scatter_update(parts, units[:, None].astype("int32"), ops.matmul(one, masks))
        return parts

    def masked(self, variable: keras.Variable, value: Any, parts: Any) -> Any:
        """The value of a weight of which only parts of the channels are there."""
        for axis, units, role in self.slots.get(id(variable), ()):
            if role != READ:
                shape = [-1 if at == axis else 1 for at in range(len(variable.shape))]
                value = value * ops.reshape(ops.take(parts, units), shape)
        return value

    def left(self, variable: keras.Variable, parts: Any) -> Any:
        """The part of a kernel that is there, counted by the channels that it reads and makes."""
        left = 1.0
        for _, units, role in self.slots.get(id(variable), ()):
            if role in (MADE, READ):
                left = left * ops.mean(ops.take(parts, units))
        return left


def _choice(move: Move, channels: Channels, scores: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The units of a move, and the masks of its widths: those of its groups side by side."""
    units: list[np.ndarray] = []
    masks: list[np.ndarray] = []
    for group in _groups(move, channels):
        order = np.argsort(-scores[group.units], kind="stable")
        divisor = max(DIVISOR // group.width, 1)
        units.append(group.units)
        masks.append(prefix_masks(order, (1.0, *move.values), divisor))
    return np.concatenate(units), np.concatenate(masks, axis=1)


def _groups(move: Move, channels: Channels) -> Iterator[Group]:
    return (group for group in channels.groups if set(group.makers) & set(move.layers))
