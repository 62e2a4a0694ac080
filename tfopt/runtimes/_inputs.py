"""Which array belongs to which input of a .tflite file."""

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np

from tfopt._text import short_repr
from tfopt.runtimes._tensors import Tensor


def by_input(
    x: Any, tensors: Sequence[Tensor], order: Sequence[str] = (), argument: str = "samples"
) -> list[np.ndarray]:
    """One array for each input of a file, in the file's order.

    Args:
        x: what `gather` returned.
        tensors: the inputs of the file.
        order: the names of the Keras model's inputs, to place the arrays of a list. Without them, or if the file has
            other names, a list is in the file's order.
        argument: its name in error messages.

    Raises:
        ValueError: names, number or shapes do not fit the file.

    Example:

    >>> inputs = [Tensor(0, "image", (1, 2), "int8"), Tensor(1, "mask", (1, 3), "int8")]
    >>> [a.shape for a in by_input({"mask": np.ones((5, 3)), "image": np.ones((5, 2))}, inputs)]
    [(5, 2), (5, 3)]
    """
    names = [tensor.name for tensor in tensors]
    if isinstance(x, dict) and set(x) == set(names):
        arrays = [x[name] for name in names]
    elif isinstance(x, dict) and len(names) > 1:
        raise ValueError(
            f"The '{argument}' argument must have the keys {sorted(names)}, the inputs of the file. "
            f"Got the keys {sorted(x)} instead. Rename the keys."
        )
    else:
        arrays = keras.tree.flatten(x)
        if len(arrays) != len(names):
            raise ValueError(
                f"The '{argument}' argument must hold {len(names)} arrays, for the inputs {names} of the file. "
                f"Got {len(arrays)} instead. Pass a list in the order of the model's inputs, or a dict by name."
            )
        if sorted(order) == sorted(names):
            arrays = [arrays[list(order).index(name)] for name in names]
    for array, tensor in zip(arrays, tensors, strict=True):
        _check_shape(array, tensor, argument)
    return arrays


def _check_shape(array: np.ndarray, tensor: Tensor, argument: str) -> None:
    wanted = tuple(None if dim in tensor.open_dims else size for dim, size in enumerate(tensor.shape))[1:]
    got = array.shape[1:]
    if len(got) != len(wanted) or any(w not in (None, g) for w, g in zip(wanted, got, strict=True)):
        expected = ", ".join(["n", *("any" if size is None else str(size) for size in wanted)])
        raise ValueError(
            f"The '{argument}' argument must have the shape ({expected}) for the input {short_repr(tensor.name)}. "
            f"Got {array.shape} instead. Put the samples along the first dimension, as model.predict takes them."
        )
