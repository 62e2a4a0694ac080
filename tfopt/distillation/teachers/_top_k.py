"""Keeping the k largest of many classes, and one value for all others."""

from typing import Any

import numpy as np
from keras import ops


def is_distribution(outputs: np.ndarray) -> bool:
    """Whether rows are probabilities over the last axis and not logits."""
    return bool((outputs >= 0).all() and (np.abs(outputs.sum(axis=-1) - 1.0) < 1e-2).all())


def compress(outputs: np.ndarray, k: int, probabilities: bool) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The k largest values, their classes, and one value that stands for each of the other classes.

    It is chosen so that softmax gives the other classes together the same probability as before: the mean of
    probabilities, or the logarithm of the mean exponential of logits.

    Args:
        outputs: array of shape `(..., classes)`, classes > k.
        k: how many to keep.
        probabilities: whether the values are probabilities and not logits.

    Returns:
        Arrays of shape `(..., k)`, `(..., k)` (int32) and `(..., 1)`.

    >>> import numpy as np
    >>> from tfopt.distillation.teachers._top_k import compress
    >>> values, classes, rest = compress(np.array([[0.1, 0.6, 0.1, 0.2]]), 2, probabilities=True)
    >>> values.tolist(), classes.tolist(), rest.tolist()
    ([[0.6, 0.2]], [[1, 3]], [[0.1]])
    """
    order = np.argsort(-outputs, axis=-1, kind="stable")
    ranked = np.take_along_axis(outputs, order, axis=-1)
    values, others = ranked[..., :k], ranked[..., k:]
    if probabilities:
        rest = others.mean(axis=-1, keepdims=True)
    else:
        top = others.max(axis=-1, keepdims=True)
        rest = top + np.log(np.exp(others - top).mean(axis=-1, keepdims=True))
    return values, order[..., :k].astype("int32"), rest


def expand(values: Any, classes: Any, rest: Any, count: int) -> Any:
    """The reverse of `compress`, on tensors: shape `(..., count)`, float32."""
    values, rest = ops.cast(values, "float32"), ops.cast(rest, "float32")
    outputs = ops.repeat(rest, count, axis=-1)
    for index in range(values.shape[-1]):
        here = ops.one_hot(classes[..., index], count, dtype="bool")
        outputs = ops.where(here, values[..., index : index + 1], outputs)
    return outputs
