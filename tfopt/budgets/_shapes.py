"""Shapes: which channels and ranks of a model are left, and the model of a shape."""

import contextlib
import dataclasses
import math
import warnings
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import keras

from tfopt.channels import Channels, channel_groups, exactly_removable
from tfopt.factorization import factorize, factors_of
from tfopt.graph import capture
from tfopt.shrinking import shrink, update_batch_norm

# Counts of channels are multiples of it: kernels compute several at a time.
DIVISOR = 4


@contextlib.contextmanager
def without_structure_warning() -> Iterator[None]:
    """Models of Keras 2 take a list of one input, and Keras 3 warns of an array in its place at each call."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "The structure of `inputs` doesn't match")
        yield


@dataclasses.dataclass(frozen=True)
class Shape:
    """What is left of a model.

    Attributes:
        channels: parts of the channels, by the paths of the layers that make them; all of others.
        ranks: parts of the ranks of the layers that are taken apart.
    """

    channels: Mapping[str, float] = dataclasses.field(default_factory=dict)
    ranks: Mapping[str, float] = dataclasses.field(default_factory=dict)

    def key(self) -> tuple[Any, ...]:
        """What tells shapes apart."""
        return tuple(sorted(self.channels.items())), tuple(sorted(self.ranks.items()))

    def make(self, model: keras.Model, x: Any = None) -> keras.Model:
        """The float model of the shape; a plain Keras model, not trained.

        Args:
            model: the whole model. It is not changed.
            x: inputs to measure the statistics of batch norms again with, and to take layers apart by.
        """
        small = shrink(model, channels=self.channels, divisor=DIVISOR) if self.channels else model
        if self.channels and x is not None:
            with without_structure_warning():
                update_batch_norm(small, x)
        return factorize(small, ranks=self.ranks, calibration=x) if self.ranks else small


@dataclasses.dataclass(frozen=True)
class Move:
    """One thing that may become narrower.

    Attributes:
        name: the layers, in words.
        layers: their paths: those that make the same channels, or the one that is taken apart.
        field: what it changes of a shape: `"channels"` or `"ranks"`.
        values: ever smaller parts.
    """

    name: str
    layers: tuple[str, ...]
    field: str
    values: tuple[float, ...]

    def apply(self, shape: Shape, value: float) -> Shape:
        """The shape with this part."""
        changed = {**getattr(shape, self.field), **dict.fromkeys(self.layers, value)}
        return dataclasses.replace(shape, **{self.field: changed})

    def following(self, shape: Shape) -> float | None:
        """The next smaller part than the shape has; None behind the last."""
        now = getattr(shape, self.field).get(self.layers[0], 1.0)
        return next((value for value in self.values if value < now), None)


def moves_of(
    model: keras.Model,
    space: Mapping[str, Sequence[float]],
    layers: Mapping[str, Mapping[str, float]] | None = None,
) -> list[Move]:
    """All that may become narrower in a model, but for layers whose rows say how much is left."""
    found = []
    for field, name, ways in (("channels", "channels", _with_channels), ("ranks", "rank", _with_factors)):
        values = tuple(sorted((one for one in space[name] if one < 1), reverse=True))
        said = {path for path, row in (layers or {}).items() if name in row}
        found += [
            Move(", ".join(paths), paths, field, values)
            for paths in (ways(model) if values else ())
            if not said.intersection(paths)
        ]
    return found


def said_shape(layers: Mapping[str, Mapping[str, float]]) -> Shape:
    """The shape that rows of single layers say.

    >>> from tfopt.budgets._shapes import said_shape
    >>> said_shape({"a": {"channels": 0.5}, "b": {"channels": 1.0, "weight_bits": 4}})
    Shape(channels={'a': 0.5}, ranks={})
    """
    parts = (
        {path: row[name] for path, row in layers.items() if row.get(name, 1.0) < 1}
        for name in ("channels", "rank")
    )
    return Shape(*parts)


def _with_channels(model: keras.Model) -> Iterator[tuple[str, ...]]:
    return coupled(exactly_removable(channel_groups(capture(model))))


def coupled(channels: Channels) -> Iterator[tuple[str, ...]]:
    """The layers that make channels that can be removed, those together that make the same ones."""
    left = [set(group.makers) for group in channels.groups]
    while left:
        together = left.pop(0)
        while touching := [one for one in left if one & together]:
            together |= set().union(*touching)
            left = [one for one in left if one not in touching]
        yield tuple(sorted(together))


def _with_factors(model: keras.Model) -> Iterator[tuple[str, ...]]:
    """The layers that can be taken apart, each once."""
    found = (factors_of(node) for node in capture(model).nodes)
    yield from dict.fromkeys((one.path,) for one in found if not isinstance(one, str))


def kernel_sizes(model: keras.Model) -> dict[str, int]:
    """How many weights each layer has, biases and vectors aside, by its path."""
    return {
        node.path: sum(
            math.prod(one.shape)
            for one in getattr(node.op, "weights", ())
            if len(one.shape) > 1 and one.name != "bias"
        )
        for node in capture(model).nodes
    }
