"""TensorFlow functions in a Keras 2 model: the nodes that `x + 1` or `tf.nn.relu(x)` leave there."""

import inspect
from collections.abc import Callable
from typing import Any

import keras
import numpy as np

from tfopt.graph import TENSORFLOW_FUNCTIONS as FUNCTIONS
from tfopt.legacy._keras2 import plain

# Names of arguments that the function computes with.
_OPERANDS = ("x1", "x2")
_SLICING = "__operators__.getitem"


def operation(layer: Any) -> Callable[..., Any]:
    """A function on Keras 3 tensors that does what a TFOpLambda or SlicingOpLambda layer does.

    Args:
        layer: the layer of Keras 2 that holds a TensorFlow function.

    Returns:
        A function that takes the layer's call arguments.

    Raises:
        ValueError: no function of `keras.ops` is known to do the same; or, when the function is called, an argument is
            one that its counterpart does not take.
    """
    symbol = layer.symbol.removeprefix("compat.v1.")  # where TensorFlow 1 had other argument names
    if symbol == _SLICING:
        return _slice
    if symbol not in FUNCTIONS:
        raise ValueError(
            f"The layer {layer.name!r} calls 'tf.{symbol}', for which no function of keras.ops is known. Known are: "
            f"{', '.join(sorted(FUNCTIONS))}, and slicing. Rebuild that part with Keras layers or functions of "
            f"these."
        )
    function, names = FUNCTIONS[symbol]
    signature = inspect.signature(layer.function)

    def call(*args: Any, **kwargs: Any) -> Any:
        bound = signature.bind(*args, **kwargs)
        bound.apply_defaults()
        given = {key: value for key, value in bound.arguments.items() if key != "name"}
        for key in given.keys() - names.keys():
            default = signature.parameters[key].default
            if given[key] is not None and given[key] != default:
                raise ValueError(
                    f"The layer {layer.name!r} calls 'tf.{symbol}' with {key}={given[key]!r}, which its counterpart "
                    f"in keras.ops does not take. Expected {default!r}. Rebuild that part with Keras layers."
                )
        # None means the default of each library.
        return function(
            **{names[key]: _array(given[key], names[key]) for key in names if given[key] is not None}
        )

    return call


def _array(value: Any, name: str) -> Any:
    """Lists of numbers as an array, where the function computes with them."""
    if name not in _OPERANDS or not isinstance(value, (list, tuple)):
        return value
    array = np.asarray(value)
    return array.astype("float32") if array.dtype == "float64" else array


def _slice(tensor: Any, slice_spec: Any, var: Any = None) -> Any:
    spec = plain(slice_spec)
    picked = tuple(map(_index, spec)) if isinstance(spec, (list, tuple)) else (_index(spec),)
    return tensor[picked[0]] if isinstance(tensor, tuple) else tensor[picked]


def _index(one: Any) -> Any:
    if isinstance(one, dict):
        return slice(one["start"], one["stop"], one["step"])
    return one


def reject_lambda(layer: Any) -> None:
    """Raises, because a Lambda layer cannot be converted.

    Raises:
        ValueError: always.
    """
    raise ValueError(
        f"The layer {layer.name!r} is a Lambda: it holds Python code for Keras 2, which Keras 3 may not "
        "run in the same way. Expected stock layers. Replace it in the Keras 2 model by layers or TensorFlow functions "
        f"(x * 2 rather than Lambda(lambda x: x * 2)); {len(FUNCTIONS)} functions are known."
    )


def threshold(layer: Any) -> Callable[..., Any]:
    """ThresholdedReLU, which Keras 3 has only as a function."""
    return lambda inputs: keras.ops.threshold(inputs, float(layer.theta), 0.0)
