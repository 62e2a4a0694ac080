"""Every layer of a model, found through public attributes only."""

from collections.abc import Iterator
from typing import Any

import keras


def sublayers(layer: keras.layers.Layer) -> list[keras.layers.Layer]:
    """The layers that `layer` holds directly: as attributes, or in lists, tuples, sets and dicts of its own.

    Args:
        layer: any Keras layer or model.

    Returns:
        Each distinct sublayer once, in the order in which the attributes were set.

    >>> import keras
    >>> from tfopt.graph import sublayers
    >>> model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(2, name="head")])
    >>> [layer.name for layer in sublayers(model)]
    ['head']
    """
    # A model lists its layers itself, in call order; everything else is found among its attributes.
    values = layer.layers if isinstance(layer, keras.Model) else vars(layer)
    found = {id(child): child for child in _layers_in(values, set()) if child is not layer}
    return [child for child in found.values() if not isinstance(child, keras.layers.InputLayer)]


def _layers_in(value: Any, seen: set[int]) -> Iterator[keras.layers.Layer]:
    if isinstance(value, keras.layers.Layer):
        yield value
        return
    if not isinstance(value, (dict, list, tuple, set)) or id(value) in seen:
        return
    seen.add(id(value))
    for item in list(value.values()) if isinstance(value, dict) else list(value):
        if isinstance(item, (keras.layers.Layer, dict, list, tuple, set)):  # most are neither
            yield from _layers_in(item, seen)


def flatten_layers(model: keras.layers.Layer) -> list[keras.layers.Layer]:
    """The model and every layer below it at any depth, each once, parents before children.

    Args:
        model: any Keras layer or model, subclassed ones too.

    Returns:
        A list of layers. A shared layer is in it once.

    >>> import keras
    >>> from tfopt.graph import flatten_layers
    >>> inner = keras.Sequential([keras.Input((4,)), keras.layers.Dense(2, name="a")], name="inner")
    >>> outer = keras.Sequential([keras.Input((4,)), inner, keras.layers.Dense(1, name="b")], name="outer")
    >>> [layer.name for layer in flatten_layers(outer)]
    ['outer', 'inner', 'a', 'b']
    """
    found: dict[int, keras.layers.Layer] = {}
    pending = [model]
    while pending:
        layer = pending.pop()
        if id(layer) not in found:
            found[id(layer)] = layer
            pending.extend(reversed(sublayers(layer)))
    return list(found.values())


def own_weights(layer: keras.layers.Layer) -> list[keras.Variable]:
    """The weights that `layer` holds itself, without those of its sublayers.

    Args:
        layer: a built Keras layer or model.

    Returns:
        Trainable and non-trainable variables, in the order of `layer.weights`.

    >>> import keras
    >>> from tfopt.graph import own_weights
    >>> dense = keras.layers.Dense(2)
    >>> dense.build((None, 3))
    >>> [weight.name for weight in own_weights(dense)]
    ['kernel', 'bias']
    >>> own_weights(keras.Sequential([keras.Input((3,)), dense]))
    []
    """
    below = {id(weight) for child in sublayers(layer) for weight in child.weights}
    return [weight for weight in layer.weights if id(weight) not in below]
