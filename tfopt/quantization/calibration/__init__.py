"""The range of each activation, from real batches."""

from tfopt.quantization.calibration._calibration import Chooser, observe_ranges
from tfopt.quantization.calibration._ranges import METHODS

__all__ = [
    "METHODS",
    "Chooser",
    "observe_ranges",
]
