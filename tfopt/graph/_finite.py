"""Weights that are numbers."""

import keras
import numpy as np

from tfopt._host_ops import array_of
from tfopt.graph._layers import flatten_layers


def check_finite(model: keras.Model, argument: str = "model") -> None:
    """Raises if a weight of a model is NaN, or one of Keras' own layers holds infinite ones.

    Layers of the user's may: a mask is often a weight of minus infinity.

    Args:
        model: any built Keras model.
        argument: its name in the message.

    Raises:
        ValueError: a weight is not finite.

    >>> model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1, name="head")])
    >>> _ = model.layers[0].kernel.assign([[float("nan")]])
    >>> check_finite(model)
    Traceback (most recent call last):
    ...
    ValueError: The 'model' argument must have finite weights. Got 1 NaN or infinite of 1 values in ...
    """
    seen: set[int] = set()
    for layer in reversed(flatten_layers(model)):  # a weight belongs to the innermost layer
        stock = getattr(keras.layers, type(layer).__name__, None) is type(layer)
        for weight in layer.weights:
            if id(weight) in seen or not keras.backend.is_float_dtype(weight.dtype):
                continue
            seen.add(id(weight))
            values = np.asarray(array_of(weight), "float32")
            bad = np.count_nonzero(~np.isfinite(values) if stock else np.isnan(values))
            if bad:
                raise ValueError(
                    f"The '{argument}' argument must have finite weights. Got {bad} NaN or infinite of {values.size} "
                    f"values in {weight.name!r} of {layer.name!r}. Take the weights of an earlier epoch; training has "
                    "diverged."
                )
