"""What a model computes for one batch, whatever strategy it was made under."""

from collections.abc import Callable
from typing import Any

import keras


def on_batch(model: keras.Model) -> Callable[[Any], Any]:
    """A function of a batch that returns the model's outputs for it, in inference, as NumPy arrays.

    `predict_on_batch` gives the whole batch to each replica of a `tf.distribute` strategy, and returns the rows of
    all of them, one replica's behind the other's.

    Args:
        model: a built Keras model.

    >>> import keras, numpy as np
    >>> from tfopt._on_batch import on_batch
    >>> model = keras.Sequential([keras.Input((1,)), keras.layers.Rescaling(2.0)])
    >>> on_batch(model)(np.array([[1.0], [3.0]])).tolist()
    [[2.0], [6.0]]
    """
    if keras.backend.backend() != "tensorflow":
        return model.predict_on_batch
    import tensorflow as tf

    function = tf.function(lambda batch: model(batch, training=False), autograph=False, reduce_retracing=True)
    return lambda batch: keras.tree.map_structure(keras.ops.convert_to_numpy, function(batch))
