"""A value in a layer's attribute that Keras does not track."""

import dataclasses
from typing import Any


@dataclasses.dataclass(frozen=True, eq=False)
class Untracked:
    """Hides layers and weights from a layer that only refers to them.

    Keras treats every layer in an attribute of a layer as a part of it: it tracks its weights and saves them a second
    time, and the outer layer counts as a composite one. Keras ignores plain objects.

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
