"""TensorFlow operations in a Keras 2 model of TensorFlow 2.0 to 2.3, which stored them as node definitions."""

from collections.abc import Callable
from typing import Any

import keras
import numpy as np

from tfopt.graph import TENSORFLOW_OPERATIONS, node_function


def node_operation(layer: Any) -> Callable[..., Any]:
    """A function on Keras 3 tensors that does what a TensorFlowOpLayer does.

    Args:
        layer: the layer of Keras 2 that holds the definition of an operation.

    Raises:
        ValueError: no function of `keras.ops` is known to do the same.
    """
    function = node_function(layer.node_def)
    if function is None:
        raise ValueError(
            f"The layer {layer.name!r} holds the TensorFlow operation '{layer.node_def.op}', for which no function of "
            f"keras.ops is known. Known are: {', '.join(sorted(TENSORFLOW_OPERATIONS))}. Rebuild that part with Keras "
            "layers."
        )

    def call(inputs: Any) -> Any:
        values = keras.tree.flatten(inputs)
        for index, constant in sorted(layer.constants.items()):
            values.insert(index, np.asarray(constant))
        return function(*values)

    return call
