"""The layer that `export` puts in place of each quantizer of activations."""

from typing import Any

import keras

from tfopt._host_ops import on_host
from tfopt.kernels._grids import nudge_range
from tfopt.kernels._once import untraced


def check_range(argument: str, limits: tuple[float, float]) -> None:
    """Raises ValueError if the limits do not hold zero."""
    if not limits[0] <= 0.0 <= limits[1] or limits[0] == limits[1]:
        raise ValueError(
            f"The '{argument}' argument must be (minimum, maximum) with minimum <= 0 <= maximum, for codes must hold "
            f"an exact zero. Got {tuple(limits)} instead."
        )


@keras.saving.register_keras_serializable(package="tfopt")
class ConstantFakeQuantize(keras.layers.Layer):
    """Rounds activations to a grid that no longer changes, with the operation that the TFLite converter reads.

    `export` puts it in place of each `FakeQuantize`.

    Args:
        minimum: lower end of the range, a whole number of steps below zero.
        maximum: upper end.
        num_bits: bits of a code.
        **kwargs: `name` and `dtype` of every Keras layer.

    Raises:
        ValueError: the range does not hold zero.

    Example:

    >>> import numpy as np
    >>> from tfopt.kernels import ConstantFakeQuantize
    >>> np.array(ConstantFakeQuantize(0.0, 255.0)(np.array([-1.0, 0.7, 300.0], "float32"))).tolist()
    [0.0, 1.0, 255.0]
    """

    graph_primitive = True  # capture must find it again as what it is

    def __init__(self, minimum: float, maximum: float, num_bits: int = 8, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        check_range("minimum, maximum", (minimum, maximum))
        self.minimum = minimum
        self.maximum = maximum
        self.num_bits = num_bits
        self.supports_masking = True

    def call(self, inputs: Any) -> Any:
        lo, hi = untraced(self._limits)
        return keras.quantizers.fake_quant_with_min_max_vars(inputs, lo, hi, num_bits=self.num_bits)

    def _limits(self) -> tuple[float, float]:
        with on_host():
            lo, hi = nudge_range(self.minimum, self.maximum, self.num_bits)
        return float(lo), float(hi)

    def compute_output_spec(self, inputs: Any, *args: Any, **kwargs: Any) -> keras.KerasTensor:
        return keras.KerasTensor(inputs.shape, inputs.dtype)

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "minimum": self.minimum,
            "maximum": self.maximum,
            "num_bits": self.num_bits,
        }
