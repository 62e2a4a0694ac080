"""How many channels to keep so that every layer, as built, has a multiple of the divisor."""

import dataclasses
import math
from collections.abc import Iterator, Sequence

import numpy as np

from tfopt.channels import MADE, Channels, Group

# Steps of the search for counts that suit all layers of a family; where it takes more, the family is left whole.
_MOST_STEPS = 20_000


@dataclasses.dataclass(frozen=True, eq=False)
class Family:
    """Groups whose counts depend on each other, because a layer makes channels of several of them.

    Attributes:
        groups: the groups.
        layers: for each layer that makes channels of these groups, how many a unit of each group stands for, and
            how many channels of the layer stay.
    """

    groups: tuple[Group, ...]
    layers: tuple[tuple[tuple[int, ...], int], ...]

    @property
    def sizes(self) -> tuple[int, ...]:
        """Units in each group."""
        return tuple(len(group.units) for group in self.groups)

    def steps(self, divisor: int) -> int:
        """How many steps of whole multiples there are in the largest group."""
        found = [1]
        for number, size in enumerate(self.sizes):
            widths = [widths[number] for widths, _ in self.layers if widths[number]]
            found.append(
                math.ceil(size / math.lcm(*(divisor // math.gcd(divisor, width) for width in widths)))
            )
        return max(found)

    def nearest(
        self, ideal: Sequence[float], low: Sequence[int], high: Sequence[int], divisor: int
    ) -> tuple[int, ...] | None:
        """Units to keep of each group, near the ideal numbers, within limits.

        Each layer then has a multiple of the divisor, or all of its channels.

        Returns:
            A count per group, or None where no counts within the limits suit all layers.
        """
        sizes = self.sizes
        ends = [max(n for n, width in enumerate(widths) if width) for widths, _ in self.layers]
        counts: list[int] = []
        steps = 0

        def suits(widths: tuple[int, ...], fixed: int) -> bool:
            here = [(width, count, size) for width, count, size in zip(widths, counts, sizes) if width]  # noqa: B905
            kept = fixed + sum(width * count for width, count, _ in here)
            return kept % divisor == 0 or all(count == size for _, count, size in here)

        def search() -> bool:
            nonlocal steps
            place = len(counts)
            if place == len(sizes):
                return True
            for count in _around(ideal[place], low[place], high[place], divisor):
                steps += 1
                if steps > _MOST_STEPS:
                    return False
                counts.append(count)
                done = [layer for layer, end in zip(self.layers, ends, strict=True) if end == place]
                if all(suits(*layer) for layer in done) and search():
                    return True
                counts.pop()
            return False

        return tuple(counts) if search() else None


def _around(ideal: float, low: int, high: int, divisor: int) -> Iterator[int]:
    """Whole numbers within limits, the nearest first, the larger of two equally near; and the upper limit."""
    near = range(max(low, math.floor(ideal) - divisor), min(high, math.ceil(ideal) + divisor) + 1)
    yield from sorted({*near, high}, key=lambda count: (abs(count - ideal), -count))


def families(channels: Channels) -> list[Family]:
    """The groups, those that share a layer together.

    >>> import keras
    >>> from tfopt.graph import capture
    >>> from tfopt.channels import channel_groups
    >>> from tfopt.shrinking._counts import families
    >>> x = inputs = keras.Input((3,))
    >>> x = keras.layers.Dense(16)(x)
    >>> x = keras.layers.Dense(2)(x[..., :6] + keras.layers.Dense(6)(x[..., 6:]))
    >>> channels = channel_groups(capture(keras.Model(inputs, x)))
    >>> [(family.sizes, family.layers) for family in families(channels)]
    [((6, 10), (((1, 1), 0), ((1, 0), 0)))]
    """
    makers = [slot for slot in channels.slots if slot.role == MADE]
    table = np.array(
        [
            [
                slot.channels(int(np.isin(slot.units, group.units).sum()) // len(group.units))
                for group in channels.groups
            ]
            for slot in makers
        ]
    ).reshape(len(makers), len(channels.groups))
    found, left = [], set(range(len(channels.groups)))
    while left:
        together, before = {min(left)}, {-1}
        while together != before:
            before = set(together)
            rows = table[:, sorted(together)].any(axis=1)
            together = set(np.flatnonzero(table[rows].any(axis=0)).tolist()) | together
        left -= together
        columns = sorted(together)
        layers = tuple(
            (tuple(row[columns].tolist()), slot.channels(int((slot.units < 0).sum())))
            for slot, row in zip(makers, table, strict=True)
            if row[columns].any()
        )
        found.append(Family(tuple(channels.groups[n] for n in columns), layers))
    return found
