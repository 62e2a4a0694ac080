"""Samples in every form that `model.fit` takes, as arrays: all at once, or batch by batch."""

from collections.abc import Iterable, Iterator
from typing import Any

import keras
import numpy as np


def gather(samples: Any, inputs: int = 1, argument: str = "samples") -> tuple[Any, Any]:
    """All samples as one structure of arrays, and the labels that came with them (or None).

    Args:
        samples: an array-like; a list, tuple or dict of arrays for a model with several inputs; a tuple `(x, y)`;
            or anything that yields batches: `tf.data.Dataset`, `keras.utils.PyDataset`, a generator.
        inputs: how many inputs the model has. With one, a list is a list of samples.
        argument: its name in error messages.

    Raises:
        ValueError: the samples are empty, without end, or hold NaN or infinite values.

    Example:

    >>> x, y = gather(([[1.0, 2.0], [3.0, 4.0]], [0, 1]))
    >>> x.shape, y
    ((2, 2), array([0, 1]))
    """
    parts = list(batches(samples, inputs, argument, batch_size=None))
    # parts[0] is enough: labels come with every batch or with none.
    x = _concatenate([part[0] for part in parts])
    return x, None if parts[0][1] is None else _concatenate([part[1] for part in parts])


def batches(
    samples: Any, inputs: int = 1, argument: str = "samples", batch_size: int | None = 32
) -> Iterator[tuple[Any, Any]]:
    """The same samples batch by batch, so that no more than one batch is in memory at a time.

    Args:
        samples: as for `gather`.
        inputs: how many inputs the model has.
        argument: its name in error messages.
        batch_size: samples in a batch where `samples` is arrays; None for all in one.

    Yields:
        Structures of arrays, and their labels or None.

    Raises:
        ValueError: as for `gather`.

    >>> [x.tolist() for x, y in batches([[1.0], [2.0], [3.0]], batch_size=2)]
    [[[1.0], [2.0]], [[3.0]]]
    """
    source = _batches(samples, argument)
    if source is None:
        source = _slices(*_split(samples, inputs), argument, batch_size)
    found = False
    for batch in source:
        x, y = _split(batch, inputs)
        _check(x, argument)
        found = True
        yield x, y
    if not found:
        raise ValueError(_empty(argument))


def _slices(x: Any, y: Any, argument: str, batch_size: int | None) -> Iterator[Any]:
    _check(x, argument)
    size = count(x)
    for start in range(0, size, batch_size or size):
        part = slice(start, start + (batch_size or size))
        # A tuple of inputs and labels, whatever the number of inputs.
        yield _cut(x, part), None if y is None else _cut(y, part), None


def _cut(arrays: Any, part: slice) -> Any:
    return keras.tree.map_structure(lambda array: array[part], arrays)


def count(x: Any) -> int:
    """How many samples a structure of arrays holds."""
    return len(keras.tree.flatten(x)[0])


def _batches(samples: Any, argument: str) -> Iterator[Any] | None:
    """The batches of a data set; None if `samples` is plain arrays."""
    endless = f"The '{argument}' argument must come to an end. Got {type(samples).__name__} without end."
    if isinstance(samples, keras.utils.PyDataset):
        if samples.num_batches is None:
            raise ValueError(f"{endless} Give it a length (`__len__` or `num_batches`).")
        return (samples[i] for i in range(samples.num_batches))
    if hasattr(samples, "element_spec"):  # a tf.data.Dataset, known without importing TensorFlow
        if int(samples.cardinality()) == -1:  # tf.data.INFINITE_CARDINALITY
            raise ValueError(f"{endless} Pass `dataset.take(n)`.")
        return samples.as_numpy_iterator()
    if isinstance(samples, (list, tuple, dict, str, bytes)) or hasattr(samples, "shape"):
        return None
    return iter(samples) if isinstance(samples, Iterable) else None


def _split(batch: Any, inputs: int) -> tuple[Any, Any]:
    """Features and labels: a tuple is `(x, y, ...)`, unless it is the inputs of a model with several."""
    y = None
    if isinstance(batch, tuple) and not _is_inputs(batch, inputs):
        y = batch[1] if len(batch) > 1 else None
        batch = batch[0] if batch else np.empty(0)
    return _arrays(batch, inputs), None if y is None else _arrays(y, 1)


def _is_inputs(batch: tuple, inputs: int) -> bool:
    """Whether a tuple is `(a, b)`, the inputs, and not `((a, b), labels)`."""
    return len(batch) == inputs > 1 and not isinstance(batch[0], (tuple, list, dict))


def _arrays(x: Any, inputs: int) -> Any:
    if isinstance(x, dict):
        return {name: _array(value) for name, value in x.items()}
    if isinstance(x, (list, tuple)) and inputs > 1:
        return [_array(value) for value in x]
    return _array(x)


def _array(value: Any) -> np.ndarray:
    # Not ops.convert_to_numpy for lists: it converts everything to float32, integers included.
    return np.asarray(
        value if isinstance(value, (list, tuple, np.ndarray)) else keras.ops.convert_to_numpy(value)
    )


def _concatenate(parts: list[Any]) -> Any:
    return keras.tree.map_structure(lambda *arrays: np.concatenate(arrays), *parts)


def _check(x: Any, argument: str) -> None:
    arrays = keras.tree.flatten(x)
    if not arrays or any(array.ndim == 0 or len(array) == 0 for array in arrays):
        raise ValueError(_empty(argument))
    if len({len(array) for array in arrays}) > 1:
        raise ValueError(
            f"The '{argument}' argument must hold as many samples for every input. "
            f"Got {[len(array) for array in arrays]}. Cut them to the same length."
        )
    for array in arrays:
        if array.dtype.kind not in "biuf":
            raise ValueError(
                f"The '{argument}' argument must hold numbers. Got dtype {array.dtype}. Convert them first."
            )
        bad = np.count_nonzero(~np.isfinite(array)) if array.dtype.kind == "f" else 0
        if bad:
            raise ValueError(
                f"The '{argument}' argument must hold finite numbers. Got {bad} NaN or infinite of {array.size} "
                "values. Remove or repair those samples."
            )


def _empty(argument: str) -> str:
    return (
        f"The '{argument}' argument must hold at least one sample. Got none. Pass some inputs of the model."
    )
