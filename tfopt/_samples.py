"""Samples in every form that `model.fit` takes, as arrays: all at once, or batch by batch."""

from collections.abc import Iterator, Sequence
from typing import Any

import keras
import numpy as np

from tfopt._sample_forms import Inputs, split, stream


def gather(samples: Any, inputs: int | Sequence[Any] = 1, argument: str = "samples") -> tuple[Any, Any]:
    """All samples as one structure of arrays, and the labels that came with them (or None).

    Args:
        samples: an array-like; a list, tuple or dict of arrays for a model with several inputs; a tuple `(x, y)`;
            or batches of these: a `tf.data.Dataset`, a `keras.utils.PyDataset`, a list, a generator, or the function
            that makes one, as TFLite's `representative_dataset`.
        inputs: how many inputs the model has; or its inputs, whose number of axes tells batches in a list from samples
            in a list, and whose names a dict must have.
        argument: its name in error messages.

    Raises:
        ValueError: the samples are empty, without end, lack an input, or hold NaN or infinite values or text.

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
    samples: Any, inputs: int | Sequence[Any] = 1, argument: str = "samples", batch_size: int | None = 32
) -> Iterator[tuple[Any, Any]]:
    """The same samples batch by batch, so that no more than one batch is in memory at a time.

    Args:
        samples: as for `gather`.
        inputs: as for `gather`.
        argument: its name in error messages.
        batch_size: samples in a batch where `samples` is arrays; None for all in one.

    Yields:
        Structures of arrays, and their labels or None.

    Raises:
        ValueError: as for `gather`.

    >>> [x.tolist() for x, y in batches([[1.0], [2.0], [3.0]], batch_size=2)]
    [[[1.0], [2.0]], [[3.0]]]
    """
    known = Inputs.of(inputs)
    source = stream(samples, known, argument)
    if source is None:
        source = _slices(*split(samples, known, argument), argument, batch_size)
    found = False
    for batch in source:
        x, y = split(batch, known, argument)
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
            advice = (
                "Run what turns text into numbers before."
                if array.dtype.kind in "USO"
                else "Convert them first."
            )
            raise ValueError(
                f"The '{argument}' argument must hold numbers. Got dtype {array.dtype}. {advice}"
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


def some(x: Any, y: Any, most: int) -> tuple[Any, Any]:
    """At most so many samples, spread over all; `y` may be None.

    >>> from tfopt._samples import some
    >>> some(np.arange(5), None, 3)
    (array([0, 2, 4]), None)
    """
    rows = np.unique(np.linspace(0, count(x) - 1, most).astype(int))
    return tuple(keras.tree.map_structure(lambda a: None if a is None else a[rows], one) for one in (x, y))  # type: ignore[return-value]
