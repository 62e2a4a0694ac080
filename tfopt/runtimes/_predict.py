"""What a Keras model computes for samples, all batches in one size."""

import math
from typing import Any

import keras
import numpy as np

from tfopt._samples import count

BATCH_SIZE = 32  # at most; that of `model.predict`


def predict(model: keras.Model, x: Any) -> Any:
    """`model.predict` whose batches are all of the same size, so that it is traced once.

    A last batch of another size makes TensorFlow trace the model a second time, which takes longer than to compute
    a few samples twice: the last sample is repeated until the batches are full, and the repetitions are cut off.

    Args:
        model: a Keras model.
        x: what `gather` returned.

    Returns:
        What `model.predict(x)` returns.

    Example:

    >>> model = keras.Sequential([keras.Input((1,)), keras.layers.Rescaling(2.0)])
    >>> predict(model, np.arange(33.0).reshape(33, 1)).shape
    (33, 1)
    """
    total = count(x)
    size = batch_size_for(model, total)
    rows = np.minimum(np.arange(math.ceil(total / size) * size), total - 1)
    filled = x if len(rows) == total else keras.tree.map_structure(lambda array: array[rows], x)
    outputs = model.predict(filled, batch_size=size, verbose=0)
    return keras.tree.map_structure(lambda array: array[:total], outputs)


def batch_size_for(model: keras.Model, total: int) -> int:
    """The model's own batch size if its inputs fix one, else the size that fills the fewest batches evenly.

    >>> model = keras.Sequential([keras.Input((1,)), keras.layers.Rescaling(2.0)])
    >>> [batch_size_for(model, total) for total in (5, 32, 60, 61, 1000)]
    [5, 32, 30, 31, 32]
    """
    inputs = getattr(model, "inputs", None) or ()
    fixed = next((tensor.shape[0] for tensor in inputs if tensor.shape and tensor.shape[0]), None)
    return fixed or math.ceil(total / math.ceil(total / BATCH_SIZE))
