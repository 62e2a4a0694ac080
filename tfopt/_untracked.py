"""A value in a layer's attribute that Keras does not look into."""

import dataclasses
from typing import Any


@dataclasses.dataclass(frozen=True, eq=False)
class Untracked:
    """Hides layers and weights from a layer that only refers to them.

    Keras takes every layer that stands in an attribute of a layer for a part of it: it tracks its weights, saves them
    a second time, and a layer that holds layers counts as a composite one. A plain object it leaves alone.

    Args:
        value: anything: a layer, a function over one, a dict of them.

    >>> import keras
    >>> from tfopt._untracked import Untracked
    >>> layer, other = keras.layers.Dense(2), keras.layers.Dense(3)
    >>> layer.reads = Untracked(other)
    >>> layer.reads.value is other
    True
    """

    value: Any
