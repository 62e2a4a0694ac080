"""Checks whether two models compute the same."""

from typing import Any

import keras
import numpy as np

from tfopt._float32 import HALF_FLOATS
from tfopt.graph import flatten_layers

# Sizes to try where a model leaves a size open; networks for images have a minimum.
_SIZES = (8, 32, 96, 160)


def compare(old: Any, new: keras.Model) -> float:
    """The largest difference between the outputs of two models on random inputs, relative to the largest output.

    Args:
        old: a Keras 2 model.
        new: the Keras 3 model made from it.

    Raises:
        ValueError: the models compute different outputs.
    """
    theirs, inputs = _run(old, new)
    ours = new(inputs, training=False)
    difference = 0.0
    for mine, one in zip(keras.tree.flatten(ours), _arrays(theirs), strict=True):
        a, b = np.asarray(mine, "float64"), np.asarray(one, "float64")
        difference = max(difference, _difference(a, b))
    if not difference <= _tolerance(new):
        raise ValueError(
            f"Keras 3 computes other outputs for the model {old.name!r}: they differ by {difference:.3g} of the "
            "largest. Expected the same to float rounding. Rebuild it with Keras 3 layers, and copy the weights with "
            "set_weights."
        )
    return difference


def _difference(mine: np.ndarray, theirs: np.ndarray) -> float:
    finite = np.isfinite(theirs)  # sums of random numbers may overflow
    if mine.shape != theirs.shape or not np.array_equal(np.isfinite(mine), finite):
        return float("inf")
    scale = float(np.max(np.abs(theirs[finite]), initial=0.0)) or 1.0
    return float(np.max(np.abs(mine - theirs)[finite], initial=0.0)) / scale


def _tolerance(model: keras.Model) -> float:
    halves = any(layer.compute_dtype in HALF_FLOATS for layer in model.layers)
    return 0.05 if halves else 1e-4


def _run(old: Any, new: keras.Model) -> tuple[Any, Any]:
    """The outputs of both models for random inputs of a size that they accept."""
    is_open = any(size is None for tensor in new.inputs for size in tensor.shape[1:])
    for size in _SIZES if is_open else _SIZES[:1]:
        inputs = _inputs(new, size)
        try:
            return old(inputs, training=False), inputs
        except Exception as error:
            failure = error
    raise ValueError(
        f"The Keras 2 model {old.name!r} does not run on random inputs of shapes "
        f"{[tuple(tensor.shape) for tensor in new.inputs]}: {failure} Expected a model that does, to compare with."
    ) from failure


def _inputs(new: keras.Model, size: int) -> Any:
    rng = np.random.default_rng(0)
    ids, words = _largest_id(new), _words(new)

    def draw(tensor: keras.KerasTensor) -> Any:
        shape = tuple(length or (2 if axis == 0 else size) for axis, length in enumerate(tensor.shape))
        if tensor.dtype == "string":
            return keras.ops.convert_to_tensor(rng.choice(words, shape).tolist())
        if ids or "int" in tensor.dtype or tensor.dtype == "bool":
            return rng.integers(0, (ids or 1) + 1, shape).astype(tensor.dtype)
        return rng.normal(size=shape).astype(tensor.dtype)

    return keras.tree.map_structure(draw, new.inputs[0] if len(new.inputs) == 1 else new.input)


def _largest_id(model: keras.Model) -> int:
    """The largest number that every table of the model has a row for; 0 without tables."""
    sizes = [
        getattr(layer, "input_dim", None) or layer.num_tokens
        for layer in flatten_layers(model)
        if isinstance(layer, (keras.layers.Embedding, keras.layers.CategoryEncoding))
    ]
    return min(sizes, default=1) - 1


def _words(model: keras.Model) -> list[str]:
    """Words that the model's text layers know, and one that they do not."""
    known = [layer.get_vocabulary() for layer in flatten_layers(model) if hasattr(layer, "get_vocabulary")]
    return ["zzz", *(str(word) for words in known for word in words[:50])]


def _arrays(part: Any) -> list[Any]:
    if isinstance(part, dict):
        return [array for key in sorted(part) for array in _arrays(part[key])]
    if isinstance(part, (list, tuple)):
        return [array for item in part for array in _arrays(item)]
    return [part]
