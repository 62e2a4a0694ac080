"""Which layers a user means: by a pattern, a function, or all."""

import re
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import keras

# None for every layer; a regular expression that is searched in the layer's path; or a function from layer to bool.
LayerFilter = str | Callable[[keras.layers.Layer], bool] | None

Value = TypeVar("Value")


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


def filters_by_value(layers: Mapping[str, Value]) -> list[tuple[Value, str]]:
    """Each value with a filter for the layers that have it, by their paths.

    >>> from tfopt.graph import filters_by_value
    >>> filters_by_value({"a": 0.5, "b/c": 0.8, "d": 0.5})
    [(0.5, '(^|/)(a|d)$'), (0.8, '(^|/)(b/c)$')]
    """
    paths: dict[Value, list[str]] = {}
    for path, value in layers.items():
        paths.setdefault(value, []).append(path)
    return [(value, f"(^|/)({'|'.join(map(re.escape, each))})$") for value, each in paths.items()]
