"""The range of each activation, from real batches."""

from tfopt.quantization.calibration._calibration import observe_ranges
from tfopt.quantization.calibration._ranges import METHODS

__all__ = [
    "METHODS",
    "observe_ranges",
]
