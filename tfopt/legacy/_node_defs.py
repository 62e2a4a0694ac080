"""TensorFlow operations in a Keras 2 model of TensorFlow 2.0 to 2.3, which stored them as node definitions."""

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
from keras import ops

from tfopt.legacy._operations import FUNCTIONS

# Operation -> the function of `tf` that makes it from the same inputs.
_SAME = {
    "Abs": "math.abs",
    "Add": "math.add",
    "AddV2": "math.add",
    "Elu": "nn.elu",
    "Exp": "math.exp",
    "Log": "math.log",
    "Maximum": "math.maximum",
    "Minimum": "math.minimum",
    "Mul": "math.multiply",
    "Neg": "math.negative",
    "Pow": "math.pow",
    "RealDiv": "math.truediv",
    "Relu": "nn.relu",
    "Relu6": "nn.relu6",
    "Rsqrt": "math.rsqrt",
    "Selu": "nn.selu",
    "Sigmoid": "math.sigmoid",
    "Softmax": "nn.softmax",
    "Softplus": "math.softplus",
    "Sqrt": "math.sqrt",
    "Square": "math.square",
    "SquaredDifference": "math.squared_difference",
    "Sub": "math.subtract",
    "Tanh": "math.tanh",
}


def _reduce(function: Callable[..., Any]) -> Callable[..., Any]:
    return lambda node, x, axis: function(x, axis=_ints(axis), keepdims=node.attr["keep_dims"].b)


def _ints(array: Any) -> Any:
    values = np.asarray(array)
    return int(values) if values.ndim == 0 else tuple(map(int, values))


# Other operations -> functions of the definition and the inputs.
_OTHERS: dict[str, Callable[..., Any]] = {
    "ConcatV2": lambda node, *inputs: ops.concatenate(inputs[:-1], axis=_ints(inputs[-1])),
    "ExpandDims": lambda node, x, axis: ops.expand_dims(x, _ints(axis)),
    "LeakyRelu": lambda node, x: ops.leaky_relu(x, node.attr["alpha"].f),
    "Max": _reduce(ops.max),
    "Mean": _reduce(ops.mean),
    "Min": _reduce(ops.min),
    "Pad": lambda node, x, pads: ops.pad(x, tuple(map(_ints, pads))),
    "Reshape": lambda node, x, shape: ops.reshape(x, _ints(shape)),
    "Squeeze": lambda node, x: ops.squeeze(x, tuple(node.attr["squeeze_dims"].list.i) or None),
    "Sum": _reduce(ops.sum),
    "Transpose": lambda node, x, order: ops.transpose(x, _ints(order)),
}


def node_operation(layer: Any) -> Callable[..., Any]:
    """A function on Keras 3 tensors that does what a TensorFlowOpLayer does.

    Args:
        layer: the layer of Keras 2 that holds the definition of an operation.

    Raises:
        ValueError: no function of `keras.ops` is known to do the same.
    """
    kind = layer.node_def.op
    if kind not in _SAME and kind not in _OTHERS:
        raise ValueError(
            f"The layer {layer.name!r} holds the TensorFlow operation '{kind}', for which no function of keras.ops is "
            f"known. Known are: {', '.join(sorted({*_SAME, *_OTHERS}))}. Rebuild that part with Keras layers."
        )

    def call(inputs: Any) -> Any:
        values = keras.tree.flatten(inputs)
        for index, constant in sorted(layer.constants.items()):
            values.insert(index, np.asarray(constant))
        if kind in _OTHERS:
            return _OTHERS[kind](layer.node_def, *values)
        function, names = FUNCTIONS[_SAME[kind]]
        return function(**dict(zip(names.values(), values, strict=False)))

    return call
