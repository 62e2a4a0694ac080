"""The family `xnnpack`: LiteRT on x86 and ARM, with its own kernels where XNNPACK leaves the work to them."""

from tfopt.kernels._family import Family
from tfopt.kernels.xnnpack._int8 import INT8
from tfopt.kernels.xnnpack._int16 import INT16
from tfopt.kernels.xnnpack._requantize import requantize

# XNNPACK refuses to load a file with a multiplier of 256; training may yet raise those of a layer that is always zero.
XNNPACK = Family("xnnpack", INT8, INT16, requantize, largest_multiplier=128.0)

__all__ = ["XNNPACK"]
