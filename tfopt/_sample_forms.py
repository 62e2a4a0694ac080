"""The forms in which people hold samples: which of them is a stream of batches, and what in a batch is which input."""

import dataclasses
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import keras
import numpy as np


@dataclasses.dataclass(frozen=True)
class Inputs:
    """What is known of the inputs that samples are for.

    Attributes:
        count: how many.
        ranks: the number of axes of each, the batch among them; None where it is not known.
        names: their names; empty where any will do.
    """

    count: int
    ranks: tuple[int | None, ...]
    names: tuple[str, ...] = ()

    @classmethod
    def of(cls, inputs: "int | Sequence[Any]") -> "Inputs":
        """From their number, or from tensors with a shape, of which those of Keras are known by their names.

        >>> Inputs.of([keras.Input((4,), name="image")])
        Inputs(count=1, ranks=(2,), names=('image',))
        """
        if isinstance(inputs, int):
            return cls(inputs, (None,) * inputs)
        names = tuple(tensor.name for tensor in inputs if isinstance(tensor, keras.KerasTensor))
        return cls(len(inputs), tuple(len(tensor.shape) for tensor in inputs), names)

    def are_arrays(self, items: Any) -> bool:
        """Whether `items` is an array for each input, samples first."""
        return (
            isinstance(items, (list, tuple))
            and len(items) == self.count
            and all(_rank(item) == rank for item, rank in zip(items, self.ranks, strict=True))
        )


def _rank(item: Any) -> int:
    """The axes of an array; -1 for what is none."""
    return len(item.shape) if hasattr(item, "shape") else -1


def stream(samples: Any, inputs: Inputs, argument: str) -> Iterator[Any] | None:
    """The batches of a data set, a generator or a list of batches; None if `samples` is plain arrays.

    Args:
        samples: any form that `tfopt._samples.gather` takes.
        inputs: what they are for.
        argument: its name in error messages.

    Raises:
        ValueError: it has no end.

    >>> list(stream(lambda: iter([1, 2]), Inputs.of(1), "samples"))
    [1, 2]
    """
    endless = f"The '{argument}' argument must come to an end. Got {type(samples).__name__} without end."
    if isinstance(samples, keras.utils.PyDataset):
        if samples.num_batches is None:
            raise ValueError(f"{endless} Give it a length (`__len__` or `num_batches`).")
        return (samples[i] for i in range(samples.num_batches))
    if hasattr(samples, "element_spec"):  # a tf.data.Dataset, known without importing TensorFlow
        if int(samples.cardinality()) == -1:  # tf.data.INFINITE_CARDINALITY
            raise ValueError(f"{endless} Pass `dataset.take(n)`.")
        return samples.as_numpy_iterator()
    if isinstance(samples, list) and _is_batches(samples, inputs):
        return iter(samples)
    if isinstance(samples, (list, tuple, dict, str, bytes)) or hasattr(samples, "shape"):
        return None
    if callable(samples):
        return iter(samples())  # the `representative_dataset` of TFLite's converter
    return iter(samples) if isinstance(samples, Iterable) else None


def _is_batches(samples: list, inputs: Inputs) -> bool:
    """Whether a list holds batches, and not the samples of one input or an array for each of several."""
    if not samples or (inputs.are_arrays(samples) and inputs.count > 1):
        return False
    first = samples[0]
    if isinstance(first, dict):
        return True
    if isinstance(first, tuple) and len(first) and all(_rank(item) > 0 for item in first[:1]):
        return True  # (x, y)
    if inputs.count == 1:
        return _rank(first) == inputs.ranks[0] or inputs.are_arrays(first) or _is_ragged(samples)
    return inputs.are_arrays(first)


def _is_ragged(samples: list) -> bool:
    """Whether arrays differ in their first axis alone, as a last batch does."""
    shapes = {tuple(item.shape) if _rank(item) > 0 else () for item in samples}
    return len(shapes) > 1 and () not in shapes and len({shape[1:] for shape in shapes}) == 1


def split(batch: Any, inputs: Inputs, argument: str) -> tuple[Any, Any]:
    """Features and labels: a tuple is `(x, y, ...)`, unless it is the inputs of a model with several.

    Args:
        batch: what a stream gave, or all samples.
        inputs: what they are for.
        argument: its name in error messages.

    Returns:
        An array, a list or a dict of arrays; and the labels or None.

    Raises:
        ValueError: a dict lacks an input.

    >>> [part.tolist() for part in split(([[1.0]], [2]), Inputs.of(1), "samples")]
    [[[1.0]], [2]]
    """
    y = None
    if isinstance(batch, tuple) and batch and isinstance(batch[0], str):
        batch = batch[1]  # TFLite's (signature, inputs)
    elif isinstance(batch, tuple) and not _is_inputs(batch, inputs.count):
        y = batch[1] if len(batch) > 1 else None
        batch = batch[0] if batch else np.empty(0)
    if inputs.count == 1 and isinstance(batch, list) and inputs.are_arrays(batch):
        (batch,) = batch
    return _arrays(batch, inputs, argument), None if y is None else _arrays(y, Inputs.of(1), argument)


def _is_inputs(batch: tuple, count: int) -> bool:
    """Whether a tuple is `(a, b)`, the inputs, and not `((a, b), labels)`."""
    return len(batch) == count > 1 and not isinstance(batch[0], (tuple, list, dict))


def _arrays(x: Any, inputs: Inputs, argument: str) -> Any:
    try:
        if isinstance(x, dict):
            return {name: array(x[name]) for name in _wanted(x, inputs, argument)}
        if isinstance(x, (list, tuple)) and inputs.count > 1:
            return [array(value) for value in x]
        return array(x)
    except ValueError as error:
        if "inhomogeneous" not in str(error):
            raise
        raise ValueError(
            f"The '{argument}' argument must hold samples of one shape. Got a list of rows of different lengths. Pad "
            "them, or pass an array."
        ) from error


def _wanted(x: dict, inputs: Inputs, argument: str) -> Iterable[str]:
    """The keys to read: those of the inputs, where they have names; others are left out, as `predict` does."""
    missing = [name for name in inputs.names if name not in x]
    if missing:
        raise ValueError(
            f"The '{argument}' argument must have the keys {sorted(inputs.names)}, the inputs of the model. Got the "
            f"keys {sorted(x)} instead, without {missing}. Rename the keys."
        )
    return [name for name in x if name in inputs.names] if inputs.names else x


def array(value: Any) -> np.ndarray:
    """Anything as a NumPy array that keeps its integers.

    >>> array([1, 2]).dtype.kind
    'i'
    """
    # Not ops.convert_to_numpy for lists: it converts everything to float32, integers included.
    return np.asarray(
        value if isinstance(value, (list, tuple, np.ndarray)) else keras.ops.convert_to_numpy(value)
    )
