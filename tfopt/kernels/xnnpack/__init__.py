"""The family `xnnpack`: LiteRT on x86 and ARM, with its own kernels where XNNPACK leaves the work to them."""

import math
from typing import Any

from tfopt._host_ops import ops
from tfopt.kernels._family import Family
from tfopt.kernels.xnnpack._int8 import INT8
from tfopt.kernels.xnnpack._int16 import INT16
from tfopt.kernels.xnnpack._lstm import LSTM
from tfopt.kernels.xnnpack._means import MEANS
from tfopt.kernels.xnnpack._requantize import multiplier, requantize

# XNNPACK refuses to load a file with a multiplier of 256; training may yet raise those of a layer that is always zero.
_LARGEST_MULTIPLIER = 128.0


def smallest_step(kind: str, steps: tuple[Any, ...], num_bits: int = 8) -> Any:
    """The smallest step of the output that a kernel can write (see `Family`)."""
    if kind in ("Requantize", "Rsqrt", "Sum", *MEANS):
        return 0.0
    step = ops.maximum(*steps) if kind in ("Add", "Subtract") else math.prod(steps)
    return step / _LARGEST_MULTIPLIER


XNNPACK = Family("xnnpack", INT8, INT16, multiplier, requantize, LSTM, smallest_step, coarse_roots=True)

__all__ = ["XNNPACK"]
