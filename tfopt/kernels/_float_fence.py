"""What keeps a layer float in the exported file although TFLite has an integer kernel for it."""

from typing import Any

import keras
from keras import ops


@keras.saving.register_keras_serializable(package="tfopt")
class FloatFence(keras.layers.Layer):
    """Passes its input on; `quantize` puts one behind each layer that `overrides` leave float.

    The TFLite converter computes in integers whatever lies between two grids and has an integer kernel. For it
    the fence becomes a cast to float64 and back, which has none and changes no number; `export` then takes the casts
    out of the file.

    Args:
        casts: whether to cast, as in the model that is converted.
        **kwargs: `name` and `dtype` of every Keras layer.

    Example:

    >>> import numpy as np
    >>> from tfopt.kernels import FloatFence
    >>> np.array(FloatFence()(np.array([0.1, 0.2], "float32"))).tolist() == np.array([0.1, 0.2], "float32").tolist()
    True
    """

    graph_primitive = True  # capture must find it again as what it is
    keeps_values = True

    def __init__(self, casts: bool = False, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.casts = casts

    def call(self, inputs: Any) -> Any:
        return ops.cast(ops.cast(inputs, "float64"), inputs.dtype) if self.casts else inputs

    def compute_output_spec(self, inputs: Any, *args: Any, **kwargs: Any) -> keras.KerasTensor:
        return keras.KerasTensor(inputs.shape, inputs.dtype)

    def to_inference(self) -> "FloatFence":
        """A fence that the converter sees."""
        return FloatFence(casts=True, name=self.name)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "casts": self.casts}
