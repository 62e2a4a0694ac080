"""The range of each activation, from real batches."""

from tfopt.quantization.calibration._calibration import Chooser, observe_ranges
from tfopt.quantization.calibration._observed import Observed
from tfopt.quantization.calibration._range_use import codes_used, effective_bits, outliers, rounding_db
from tfopt.quantization.calibration._ranges import METHODS

__all__ = [
    "METHODS",
    "Chooser",
    "Observed",
    "codes_used",
    "effective_bits",
    "observe_ranges",
    "outliers",
    "rounding_db",
]
