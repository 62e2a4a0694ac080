"""Custom layers that compute with their own weights on the int8 grid."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar, overload

import keras

from tfopt.kernels._registration import ATTRIBUTE
from tfopt.quantization.simulation._quantized_weights import QuantizedWeights

LayerClass = TypeVar("LayerClass", bound=type[keras.layers.Layer])
Weights = Sequence[str] | Mapping[str, Sequence[int]]


@overload
def register_quantized(layer_class: LayerClass, *, weights: Weights) -> LayerClass: ...
@overload
def register_quantized(*, weights: Weights) -> Callable[[LayerClass], LayerClass]: ...
def register_quantized(layer_class: Any = None, *, weights: Weights) -> Any:
    """Tells `quantize` which weights of a custom layer to round to the int8 grid.

    Needed only for a layer that makes weights of its own and multiplies with them; a layer made of Keras layers and
    `keras.ops` is opened, and needs nothing. While the layer's `call` runs, the named weights read as
    `round(w / s) * s`, `s = max|w| / 127` for each channel (TFLite 8-bit specification; straight-through
    gradient, arXiv 1308.3432). The layer trains, saves, loads and exports as before. Call it, or use it as a
    decorator, where the class is defined: a process that loads the model must have run it too.

    Args:
        layer_class: the class. It must be serializable: registered with Keras, with a `get_config`.
        weights: names of the attributes that hold the weights; the last axis indexes channels. Or a dict of the
            axes for each name: `{"kernel": (-1,), "table": ()}`, where () stands for one step for the whole weight.

    Returns:
        The class itself, or a decorator where `layer_class` is left out.

    Raises:
        TypeError: `layer_class` is no Keras layer class.
        ValueError: it is one of Keras' own, or `weights` names none.

    Example:

    >>> import keras, numpy as np, tfopt
    >>> @tfopt.register_quantized(weights=["kernel"])
    ... @keras.saving.register_keras_serializable("docs")
    ... class Linear(keras.layers.Layer):
    ...     def build(self, shape):
    ...         self.kernel = self.add_weight(shape=(shape[-1], 3), name="kernel")
    ...
    ...     def call(self, x):
    ...         return keras.ops.matmul(x, self.kernel)
    >>> model = keras.Sequential([keras.Input((4,)), Linear(name="linear")])
    >>> (row,) = tfopt.quantize(model, np.ones((8, 4))).report.layers
    >>> row.path, row.done, row.note
    ('linear', 'int8', 'its kernel; the rest of its call may stay float in a file, as export says')
    """
    if layer_class is None:
        return lambda decorated: register_quantized(decorated, weights=weights)
    if not (isinstance(layer_class, type) and issubclass(layer_class, keras.layers.Layer)):
        raise TypeError(
            f"The 'layer_class' argument must be a class of Keras layers. Got {layer_class!r} instead. "
            "Pass the class and not a layer of it: register_quantized(type(layer), weights=...)."
        )
    name = getattr(layer_class, "__name__", "")
    if getattr(keras.layers, name, None) is layer_class:
        raise ValueError(
            f"The 'layer_class' argument must be a layer class of yours. Got keras.layers.{name}, "
            "which tfopt.quantize knows already."
        )
    axes = dict(weights) if isinstance(weights, Mapping) else dict.fromkeys(weights, (-1,))
    if isinstance(weights, str) or not axes:
        raise ValueError(
            f"The 'weights' argument must name at least one weight, as in weights=['kernel']. Got {weights!r} instead."
        )
    made = _quantized_class(layer_class, {weight: tuple(kept) for weight, kept in axes.items()})
    setattr(layer_class, ATTRIBUTE, made)
    # Capture keeps it as one operation then.
    layer_class.graph_primitive = True  # type: ignore[attr-defined]
    return layer_class


def _quantized_class(
    layer_class: type[keras.layers.Layer], axes: dict[str, tuple[int, ...]]
) -> type[keras.layers.Layer]:
    members = {
        "__doc__": f"`{layer_class.__name__}` that computes with its {' and '.join(axes)} on the int8 grid.",
        "__module__": layer_class.__module__,
        "weight_names": tuple(axes),
        "axes_of": lambda self, name: axes[name],
    }
    made = type(f"Quantized{layer_class.__name__}", (QuantizedWeights, layer_class), members)
    return keras.saving.register_keras_serializable(package=f"tfopt.{layer_class.__module__}")(made)
