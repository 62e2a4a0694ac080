"""The reference kernels of TFLite Micro, as pure functions from integer codes to integer codes.

| module | operators |
| --- | --- |
| `_products` | what CONV_2D, DEPTHWISE_CONV_2D, TRANSPOSE_CONV, FULLY_CONNECTED, BATCH_MATMUL do to their sums |
| `_arithmetic` | ADD, SUB, MUL, SQUARED_DIFFERENCE |
| `_slopes` | RELU, RELU6, LEAKY_RELU, PRELU, HARD_SWISH, ABS, QUANTIZE |
| `_curves` | LOGISTIC, TANH, SOFTMAX, LOG_SOFTMAX of 8-bit codes |
| `_int16_curves` | LOGISTIC, TANH, SOFTMAX of 16-bit codes; ELU |
| `_reductions` | MEAN, SUM, AVERAGE_POOL_2D, CUMSUM, L2_NORMALIZATION, RSQRT |
| `_resize` | RESIZE_BILINEAR |
| `_lstm` | the parts of UNIDIRECTIONAL_SEQUENCE_LSTM |
| `_fixed_curves` | exp, 1 / x, logistic, tanh, log, 1 / sqrt in fixed point |
| `_integers` | multiplication and rounding of integers |
| `_family` | the tables that the simulation reads |
| `_operators` | which operators TFLite Micro has |
"""

from tfopt.kernels._family import Family
from tfopt.kernels.reference._family import INT8, INT16, smallest_step
from tfopt.kernels.reference._lstm import LSTM
from tfopt.kernels.reference._operators import (
    ABSENT,
    OPERATORS_INT8,
    OPERATORS_INT16,
    REFUSED_INT8,
    REFUSED_INT16,
    WRONG_INT8,
)
from tfopt.kernels.reference._products import multiplier, requantize

REFERENCE = Family(
    "reference", INT8, INT16, multiplier, requantize, LSTM, smallest_step, quantize_ties="away_from_zero"
)

__all__ = [
    "ABSENT",
    "OPERATORS_INT8",
    "OPERATORS_INT16",
    "REFERENCE",
    "REFUSED_INT8",
    "REFUSED_INT16",
    "WRONG_INT8",
]
