"""Samples in every form that `model.fit` takes, as batches of inputs."""

from collections.abc import Iterable, Iterator
from typing import Any

import keras
import numpy as np


def input_batches(data: Any, model: keras.Model, argument: str, batch_size: int = 32) -> Iterator[Any]:
    """The inputs in `data`, batch by batch, checked against the model.

    Args:
        data: arrays or nests of arrays (samples first), or batches of them: a `tf.data.Dataset`, a
            `keras.utils.PyDataset`, a generator. A batch may be `inputs`, `(inputs, targets)` or
            `(inputs, targets, sample_weights)`; only inputs are used.
        model: the model that they are meant for; its inputs give structure and shapes.
        argument: the caller's name for `data`, for error messages.
        batch_size: samples in a batch, where `data` is arrays.

    Yields:
        Nests of NumPy arrays with the structure of the model's inputs.

    Raises:
        ValueError: there are no samples, or they hold NaN or infinity, or their shape is not the model's.
    """
    expected = [tuple(tensor.shape) for tensor in model.inputs]
    count = 0
    for batch in _batches(data, argument, batch_size):
        arrays = [np.asarray(leaf) for leaf in keras.tree.flatten(batch)]
        _check(arrays, expected, argument)
        count += len(arrays[0])
        if len(arrays[0]):
            yield arrays[0] if len(arrays) == 1 else keras.tree.pack_sequence_as(batch, arrays)
    if count == 0:
        raise ValueError(
            f"The '{argument}' argument must hold at least one sample. Got none. "
            "Pass a few hundred inputs of the kind that the model will see in use."
        )


def _batches(data: Any, argument: str, batch_size: int) -> Iterable[Any]:
    if data is None:
        raise ValueError(
            f"The '{argument}' argument must be arrays, a tf.data.Dataset, a keras.utils.PyDataset or an iterable "
            "of batches. Got None instead. Pass a few hundred inputs of the kind that the model will see in use."
        )
    if isinstance(data, keras.utils.PyDataset):
        return (keras.utils.unpack_x_y_sample_weight(data[index])[0] for index in range(len(data)))
    if isinstance(data, (np.ndarray, dict, list)) or hasattr(data, "shape"):
        return _slices(data, batch_size)
    if isinstance(data, Iterable) and not isinstance(data, tuple):
        return (keras.utils.unpack_x_y_sample_weight(batch)[0] for batch in data)
    raise TypeError(
        f"The '{argument}' argument must be arrays, a tf.data.Dataset, a keras.utils.PyDataset or an iterable of "
        f"batches. Got {type(data).__name__} instead. Leave targets out, and put several inputs in a list or dict."
    )


def _slices(data: Any, batch_size: int) -> Iterator[Any]:
    arrays = keras.tree.map_structure(np.asarray, data)
    count = len(keras.tree.flatten(arrays)[0])
    for start in range(0, count, batch_size):
        yield keras.tree.map_structure(lambda x: x[start : start + batch_size], arrays)  # noqa: B023 (used at once)


def _check(arrays: list[np.ndarray], expected: list[tuple], argument: str) -> None:
    shapes = [array.shape for array in arrays]
    fits = len(shapes) == len(expected) and all(
        len(shape) == len(want) and all(w in (None, s) for s, w in zip(shape[1:], want[1:], strict=True))
        for shape, want in zip(shapes, expected, strict=True)
    )
    if not fits:
        raise ValueError(
            f"The '{argument}' argument must hold inputs of shape {_shapes(expected)}, samples first. "
            f"Got {_shapes(shapes)} instead. One sample needs a batch axis too: samples[None]."
        )
    if any(array.dtype.kind == "f" and not np.isfinite(array).all() for array in arrays):
        raise ValueError(
            f"The '{argument}' argument must hold finite numbers. Got NaN or infinity. "
            "Clean the samples first, for example with numpy.nan_to_num."
        )


def _shapes(shapes: list[tuple]) -> str:
    return " and ".join(str(shape) for shape in shapes)
