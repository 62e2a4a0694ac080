"""What a Keras model computes for samples, with as little tracing as possible."""

import math
from collections.abc import Callable
from typing import Any

import keras
import numpy as np

from tfopt._on_batch import on_batch
from tfopt._replicas import is_shared
from tfopt._samples import count
from tfopt.graph import flatten_layers
from tfopt.kernels import IntegerActivations, Numbers

BATCH_SIZE = 32  # at most; that of `model.predict`
EAGER_BATCHES = 8  # a trace of a quantized model costs as much as some ten batches without one


def predict(model: keras.Model, x: Any) -> Any:
    """What `model.predict(x)` returns, at less cost if there are few samples.

    A quantized model has hundreds of small operations in each quantizer, and tracing them takes seconds to minutes:
    so a few batches run without a trace. Other models are traced once: all batches have the same size, because
    TensorFlow traces again for another size. The last batch is filled up with the last sample, and the surplus is cut
    off.

    Args:
        model: a Keras model.
        x: what `gather` returned.

    Returns:
        What `model.predict(x)` returns: the same numbers to the last bit where a model is quantized.

    Raises:
        ValueError: the samples do not fit the model.

    Example:

    >>> model = keras.Sequential([keras.Input((1,)), keras.layers.Rescaling(2.0)])
    >>> predict(model, np.arange(33.0).reshape(33, 1)).shape
    (33, 1)
    """
    total = count(x)
    size = batch_size_for(model, total)
    batches = math.ceil(total / size)
    rows = np.minimum(np.arange(batches * size), total - 1)
    filled = x if len(rows) == total else keras.tree.map_structure(lambda array: array[rows], x)
    try:
        outputs = _outputs(model, filled, size, batches)
    except ValueError as error:  # keys or shapes that Keras finds wrong, in words about its own insides
        raise ValueError(
            f"The samples must be inputs of the model {model.name!r}, as `model.predict` takes them. Got "
            f"{_shapes(x)}{_what_it_takes(model)}. {_words(error)}".rstrip()
        ) from error
    return keras.tree.map_structure(lambda array: array[:total], outputs)


def _outputs(model: keras.Model, x: Any, size: int, batches: int) -> Any:
    if batches <= EAGER_BATCHES and any(
        isinstance(layer, IntegerActivations) for layer in flatten_layers(model)
    ):
        return run_eagerly(model, x, size)
    if is_shared(model):
        # `predict` has the replicas, and so all workers, take part.
        return _in_batches(on_batch(model), x, size)
    return model.predict(x, batch_size=size, verbose=0)


def _shapes(structure: Any) -> Any:
    return keras.tree.map_structure(lambda one: tuple(one.shape), structure)


def _what_it_takes(model: keras.Model) -> str:
    inputs = getattr(model, "input", None)  # a subclassed model does not know them
    return "" if inputs is None else f" instead of {_shapes(inputs)}"


def _words(error: ValueError) -> str:
    """Keras' words, where they do not end in a list of arguments."""
    last = str(error).splitlines()[-1].strip()
    return "" if last.startswith("•") else f"Keras says: {last}"


def run_eagerly(model: keras.Model, x: Any, size: int) -> Any:
    """The outputs of a model that is called batch by batch and not traced.

    Args:
        model: a Keras model.
        x: what `gather` returned.
        size: samples in a batch.

    >>> model = keras.Sequential([keras.Input((1,)), keras.layers.Rescaling(2.0)])
    >>> run_eagerly(model, np.arange(4.0).reshape(4, 1), size=2).tolist()
    [[0.0], [2.0], [4.0], [6.0]]
    """
    numbers = Numbers()  # no weight moves here

    def call(batch: Any) -> Any:
        with numbers.read():
            outputs = model(batch, training=False)
        return keras.tree.map_structure(keras.ops.convert_to_numpy, outputs)

    return _in_batches(call, x, size)


def _in_batches(call: Callable[[Any], Any], x: Any, size: int) -> Any:
    parts = []
    for start in range(0, count(x), size):
        parts.append(
            call(keras.tree.map_structure(lambda array, start=start: array[start : start + size], x))
        )
    return keras.tree.map_structure(lambda *arrays: np.concatenate(arrays), *parts)


def batch_size_for(model: keras.Model, total: int) -> int:
    """The model's own batch size if its inputs fix one, else the size that fills the fewest batches evenly.

    >>> model = keras.Sequential([keras.Input((1,)), keras.layers.Rescaling(2.0)])
    >>> [batch_size_for(model, total) for total in (5, 32, 60, 61, 1000)]
    [5, 32, 30, 31, 32]
    """
    inputs = getattr(model, "inputs", None) or ()
    fixed = next((tensor.shape[0] for tensor in inputs if tensor.shape and tensor.shape[0]), None)
    return fixed or math.ceil(total / math.ceil(total / BATCH_SIZE))
