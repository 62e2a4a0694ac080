"""Activation functions that Keras 3 changed."""

from typing import Any

import keras
from keras import ops


@keras.saving.register_keras_serializable(package="tfopt")
def keras2_hard_sigmoid(x: Any) -> Any:
    """`max(0, min(1, 0.2 x + 0.5))`: Keras 2's "hard_sigmoid". The one of Keras 3 rises by 1/6.

    Old LSTM and GRU layers, and all ConvLSTM layers, have it as their recurrent activation.

    Args:
        x: a tensor.

    Example:

    >>> import numpy as np
    >>> from tfopt.legacy import keras2_hard_sigmoid
    >>> np.array(keras2_hard_sigmoid(np.array([-3.0, 0.0, 1.25], "float32"))).tolist()
    [0.0, 0.5, 0.75]
    """
    return ops.clip(0.2 * x + 0.5, 0.0, 1.0)
