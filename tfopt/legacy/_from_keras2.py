"""Keras 2 models, those of tensorflow-model-optimization included, become Keras 3 models."""

from pathlib import Path
from typing import Any

import keras

from tfopt._keras_model import is_keras2
from tfopt.legacy._compare import compare
from tfopt.legacy._keras2 import is_quantized
from tfopt.legacy._load import load_keras2
from tfopt.legacy._rebuild import Rebuild


def from_keras2(model: Any) -> keras.Model:
    """A Keras 3 model that computes what a Keras 2 (`tf_keras`) model computes.

    For models made before Keras 3, and for those that tensorflow-model-optimization has wrapped. Its wrappers are
    stripped: a pruned layer keeps its zeros, a clustered one its clusters, and of a quantization-aware model the
    float layers remain. `ranges_of` returns the ranges that it has learned. Give the result to `tfopt.quantize`,
    `tfopt.shrink` or `tfopt.Pruning`.

    Every layer is made again with its arguments. An argument that Keras 3 no longer knows is dropped if it has its
    default value. TensorFlow functions between layers (`x + 1`, `tf.nn.relu(x)`, `x[:, 0]`) become functions of
    `keras.ops`. The weights are copied; optimizer, loss and metrics are not.

    Importing tensorflow-model-optimization sets the environment variable `TF_USE_LEGACY_KERAS` for the whole process;
    this function imports it if a file holds tfmot's wrappers; nothing else in tfopt does.

    Args:
        model: a `tf_keras` model, Sequential or Functional, whose inputs are known; or the path of one in a file of
            Keras 2: `.h5`, `.keras`, or a SavedModel.

    Returns:
        A `keras.Model` with the same layer names and weights ("/" in a name becomes "_"). Its outputs were compared
        with the original's on random inputs, except for quantization-aware models, whose outputs are rounded.

    Raises:
        TypeError: `model` is neither a Keras 2 model nor a path.
        FileNotFoundError: nothing is at the path.
        ValueError: the file cannot be read; Keras 3 has no counterpart for a part of the model; or the result computes
            other outputs.

    Example:

    >>> from tfopt.legacy import from_keras2
    >>> from_keras2("missing.h5")
    Traceback (most recent call last):
    ...
    FileNotFoundError: The 'model' argument must be a model or the path of one. Nothing is at: missing.h5
    """
    old = keras2_model(model)
    new = Rebuild().model(old)
    if not is_quantized(old):
        compare(old, new)
    return new


def keras2_model(model: Any) -> Any:
    """The Keras 2 model, given as itself or by its path.

    Args:
        model: a Keras 2 model or a path.

    Raises:
        TypeError: it is neither.
    """
    if isinstance(model, (str, Path)):
        return load_keras2(model)
    if is_keras2(model):
        return model
    way_out = (
        "It is a Keras 3 model, and needs no conversion."
        if isinstance(model, keras.Model)
        else "Load other files first, with tf_keras.models.load_model."
    )
    raise TypeError(
        "The 'model' argument must be a Keras 2 (tf_keras) model or the path of one. Got "
        f"{type(model).__name__} instead. {way_out}"
    )
