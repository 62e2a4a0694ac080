"""The package `tf_keras`, imported only when there is a Keras 2 model."""

from typing import Any

import numpy as np

# Registered names of the layers that tensorflow-model-optimization adds to a model.
WRAPPERS = (
    "PruneLowMagnitude",
    "ClusterWeights",
    "ClusterWeightsMHA",
    "QuantizeWrapper",
    "QuantizeWrapperV2",
)


def tf_keras() -> Any:
    """The package `tf_keras`.

    Raises:
        ImportError: it is not installed.
    """
    try:
        import tf_keras
    except ImportError as error:
        raise ImportError(
            "Keras 2 models need the package 'tf_keras', which is not installed. Run: pip install tf_keras"
        ) from error
    return tf_keras


def is_a(layer: Any, name: str) -> bool:
    """Whether a Keras 2 layer is of the class `name` or derives from it."""
    return any(base.__name__ == name for base in type(layer).__mro__)


def plain(value: Any) -> Any:
    """A value of Keras 2 in plain containers: tuples for shapes, arrays for tensors, names for types."""
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    if isinstance(value, tuple):
        return tuple(map(plain, value))
    if isinstance(value, list):
        return [plain(item) for item in value]
    kind = type(value).__name__
    if kind == "TensorShape":
        return tuple(value.as_list())
    if kind == "DType":
        return value.name
    if kind in ("EagerTensor", "ResourceVariable"):
        return value.numpy()
    if isinstance(value, (np.ndarray, np.generic)) and value.ndim == 0:
        return value.item()  # ReLU keeps its arguments as arrays
    return value


def is_quantized(model: Any) -> bool:
    """Whether tfmot made a Keras 2 model quantization-aware, in any part of it."""
    return any(
        is_a(layer, "QuantizeWrapper") or is_a(layer, "QuantizeLayer") for layer in model._flatten_layers()
    )
