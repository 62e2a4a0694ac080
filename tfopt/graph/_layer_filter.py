"""Which layers a user means: by a pattern, a function, or all."""

import re
from collections.abc import Callable
from typing import Any

import keras

# None for every layer; a regular expression that is searched in the layer's path; or a function from layer to bool.
LayerFilter = str | Callable[[keras.layers.Layer], bool] | None


def selects(where: LayerFilter, layer: Any, path: str) -> bool:
    """Whether a filter selects a layer.

    Args:
        where: the filter.
        layer: a Keras layer.
        path: its path in the model, such as `"backbone/conv_1"`.

    >>> from tfopt.graph import selects
    >>> selects("conv_[12]$", None, "backbone/conv_1"), selects("^conv", None, "backbone/conv_1")
    (True, False)
    """
    if where is None:
        return True
    if callable(where):
        return bool(where(layer))
    return re.search(where, path) is not None
