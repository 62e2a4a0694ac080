"""The range of an LSTM's cells, which the kernel keeps in 16 bits with a step that is a power of two."""

from typing import Any

import keras
from keras import ops

from tfopt.quantization.simulation._activation_range import ActivationRange

# The kernel's curves take cells of at most 6 bits before the point.
_SMALLEST_STEP, _LARGEST_STEP = 2.0**-15, 2.0**-9


class CellRange(ActivationRange, keras.layers.Layer):
    """Follows the cells that training sees, and spans their range up to the next power of two.

    Args:
        momentum: share of the old range that a training step keeps.
        **kwargs: `name` and `dtype` of every Keras layer.
    """

    num_sites, num_bits, fixed_range = 1, 16, None
    observer, clip_l2, non_negative = "moving_average", 0.0, False
    symmetric = power_of_two = True
    smallest_step = _SMALLEST_STEP

    def __init__(self, momentum: float, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.momentum = momentum

    def build(self, input_shape: Any) -> None:
        self.build_range()

    def observe(self, cells: Any) -> None:
        """Moves the range towards that of a batch."""
        if self.observes:
            self.observe_batch(ops.stop_gradient(cells), 0)

    def step(self) -> Any:
        return ops.minimum(super().step(), _LARGEST_STEP)
