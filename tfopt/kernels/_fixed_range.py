"""The layer that fixes the grid of what it reads."""

from typing import Any

import keras

from tfopt.kernels._constant_fake_quantize import check_range
from tfopt.kernels._pass_through import PassThrough


@keras.saving.register_keras_serializable(package="tfopt")
class FixedRange(PassThrough):
    """Fixes the range of the grid that its input is on, where calibration cannot see it.

    Such as that of a correction, which is 1 throughout in float. It returns its inputs.

    Args:
        minimum: lower end of the range.
        maximum: upper end.
        **kwargs: `name` and `dtype` of every Keras layer.

    Raises:
        ValueError: the range does not hold zero.

    Example:

    >>> import numpy as np
    >>> from tfopt.kernels import FixedRange
    >>> np.array(FixedRange(-2.0, 2.0)(np.array([0.25, 0.5], "float32"))).tolist()
    [0.25, 0.5]
    """

    def __init__(self, minimum: float, maximum: float, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        check_range("minimum, maximum", (minimum, maximum))
        self.minimum = minimum
        self.maximum = maximum

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "minimum": self.minimum, "maximum": self.maximum}
