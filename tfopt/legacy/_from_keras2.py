"""Keras 2 models, those of tensorflow-model-optimization included, become Keras 3 models."""

import tempfile
from pathlib import Path
from typing import Any

import keras
import numpy as np


def from_keras2(model: Any) -> keras.Model:
    """A Keras 3 model that computes what a Keras 2 (`tf_keras`) model computes.

    For models made before Keras 3, and for those that tensorflow-model-optimization has pruned: its wrappers are
    stripped, and the zeros stay in the weights. Give the result to `tfopt.quantize` or `tfopt.Pruning`.

    Importing tensorflow-model-optimization sets the environment variable `TF_USE_LEGACY_KERAS` for the whole process;
    this function does it, and nothing else in tfopt.

    Args:
        model: a built `tf_keras` model of stock layers; Sequential or Functional.

    Returns:
        A `keras.Model` with the same weights, whose outputs were compared with the original's on random inputs.

    Raises:
        TypeError: `model` is not a Keras 2 model, or it is a quantization-aware one.
        ValueError: Keras 3 cannot read a layer of it, or computes something else from it.

    Example:

    >>> from tfopt.legacy import from_keras2
    >>> from_keras2("model.h5")
    Traceback (most recent call last):
    ...
    TypeError: The 'model' argument must be a Keras 2 (tf_keras) model. Got str instead. Load a file first, ...
    """
    if isinstance(model, (str, Path)) or not hasattr(model, "layers") or isinstance(model, keras.Model):
        raise TypeError(
            f"The 'model' argument must be a Keras 2 (tf_keras) model. Got {type(model).__name__} instead. "
            "Load a file first, with tf_keras.models.load_model; a Keras 3 model needs no conversion."
        )
    import tensorflow_model_optimization as tfmot

    quantized = [layer.name for layer in model.layers if type(layer).__name__.startswith("Quantize")]
    if quantized:
        raise TypeError(
            f"The 'model' argument must not be a quantization-aware model of tfmot. Got quantized layers: "
            f"{', '.join(quantized)}. Convert the float model, then use tfopt.quantize."
        )
    stripped = tfmot.sparsity.keras.strip_pruning(model)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.h5"
        stripped.save(path, include_optimizer=False)
        try:
            converted = keras.models.load_model(path, compile=False)
        except Exception as error:
            raise ValueError(
                f"Keras 3 cannot read the model {model.name!r}: {error} Rebuild it with Keras 3 layers, and copy the "
                "weights with set_weights."
            ) from error
    _compare(stripped, converted)
    return converted


def _compare(old: Any, new: keras.Model) -> None:
    rng = np.random.default_rng(0)
    inputs = [
        rng.normal(size=(2, *(size or 8 for size in tensor.shape[1:]))).astype("float32")
        for tensor in new.inputs
    ]
    argument = inputs if len(inputs) > 1 else inputs[0]
    for ours, theirs in zip(
        keras.tree.flatten(new(argument, training=False)),
        keras.tree.flatten(old(argument, training=False)),
        strict=True,
    ):
        worst = float(np.max(np.abs(np.asarray(ours) - np.asarray(theirs))))
        if not worst <= 1e-4 * max(1.0, float(np.max(np.abs(np.asarray(theirs))))):
            raise ValueError(
                f"Keras 3 computes something else from the model {old.name!r}: outputs differ by up to {worst:.3g}. "
                "Rebuild it with Keras 3 layers, and copy the weights with set_weights."
            )
