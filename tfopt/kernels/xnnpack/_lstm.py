"""LiteRT's LSTM kernel: logistic and tanh by gemmlowp in 16 bits, sums cut off once.

XNNPACK leaves UNIDIRECTIONAL_SEQUENCE_LSTM to LiteRT. Facts from gemmlowp/fixedpoint/fixedpoint.h and
tensorflow/lite/kernels/internal/reference/portable_tensor_utils.cc. A number in `Qn` has `n` bits before the point and
`15 - n` behind it.
"""

import functools
import math
from typing import Any

import numpy as np
from keras import ops

from tfopt._float32 import exactly
from tfopt.kernels._fixed_point import product_dtype
from tfopt.kernels._lstm_rules import ALL_CODES, CELL_BITS, CURVE_BITS, GATE_BITS, LstmRules, saturated
from tfopt.kernels.reference._integers import whole

_ONE = 2**15 - 1  # 1.0 in Q0, as near as it gets
_NEWTON_STEPS = 3


def _q(number: float, bits: int = 0) -> int:
    """A constant in `Q(bits)`: that of 32 bits, rounded."""
    return (round(number * 2 ** (31 - bits)) + 2**15) >> 16


def _times(left: np.ndarray, right: Any) -> np.ndarray:
    """The product of two numbers in [-1, 1), halves up."""
    return (left * right + 2**14) >> 15


def _down(numbers: np.ndarray, bits: int) -> np.ndarray:
    return np.sign(numbers) * ((np.abs(numbers) + 2 ** (bits - 1)) >> bits)


def _up(numbers: np.ndarray, bits: int) -> np.ndarray:
    """`numbers * 2**bits`, cut off where the kernel looks: beyond `2**(15 - bits) - 1`, on both sides."""
    end = 2 ** (15 - bits) - 1
    cut = np.where(numbers > end, _ONE, np.where(numbers < -end, -(2**15), 0))
    return np.where(np.abs(numbers) > end, cut, numbers * 2**bits)


def _exp_of_negative(x: np.ndarray, bits: int) -> np.ndarray:
    """`exp(x)` for `x <= 0` in `Q(bits)`, in Q0: a Taylor polynomial below a quarter, a factor for each bit above."""
    quarter = 2 ** (13 - bits)
    rest = (x & (quarter - 1)) - quarter
    y = _up(rest, bits) + 2**12
    square = _times(y, y)
    cube, fourth = _times(square, y), _times(square, square)
    tail = _down(_times(_down(fourth, 2) + cube, _q(1 / 3)) + square, 1)
    constant = _q(math.exp(-1 / 8))
    result = np.clip(constant + _times(y + tail, constant), -(2**15), _ONE)
    above = rest - x
    for power in range(-2, min(bits, 5)):
        bit = above & 2 ** (15 - bits + power)
        result = np.where(bit > 0, _times(result, _q(math.exp(-(2.0**power)))), result)
    if bits > 5:
        result = np.where(x < -(2 ** (20 - bits)), 0, result)
    return np.where(x == 0, _ONE, result)


def _inverse_of_half(a: np.ndarray) -> np.ndarray:
    """`2 / (1 + a)` for `a` in [0, 1), Q0 to Q2, by Newton's method."""
    half = (a + _ONE + 1) // 2
    x = _q(48 / 17, 2) + _times(half, _q(-32 / 17, 2))
    for _ in range(_NEWTON_STEPS):
        x = x + _up(_times(x, 2**13 - _times(half, x)), 2)
    return x


@functools.cache
def sigmoid_table() -> np.ndarray:
    """`1 / (1 + exp(-x))` of all codes in Q3, in Q0.

    >>> from tfopt.kernels.xnnpack._lstm import sigmoid_table
    >>> [int(code) for code in sigmoid_table()[[0, 2**15 - 4096, 2**15, 2**15 + 4096]]]
    [11, 8815, 16384, 23952]
    """
    positive = _up(_inverse_of_half(_exp_of_negative(-np.abs(ALL_CODES), 15 - GATE_BITS)), 1)
    table = np.where(ALL_CODES > 0, positive, _ONE - positive)
    return np.where(ALL_CODES == 0, 2**14, table).astype("int32")


@functools.cache
def tanh_tables() -> np.ndarray:
    """`tanh(x)` of all codes in Q0, Q1, ... Q6, in Q0.

    >>> from tfopt.kernels.xnnpack._lstm import tanh_tables
    >>> [int(code) for code in tanh_tables()[3][[0, 2**15 - 4096, 2**15, 2**15 + 4096]]]
    [-32767, -24964, 0, 24964]
    """
    return np.stack([_tanh(bits) for bits in range(CELL_BITS + 1)]).astype("int32")


def _tanh(bits: int) -> np.ndarray:
    # Twice the number is the same integer with one bit more before the point.
    power = _exp_of_negative(-np.abs(ALL_CODES), bits + 1)
    return np.sign(ALL_CODES) * _up(_inverse_of_half(power) - 2**13, 2)


def _ratio(step: Any, weight_steps: Any) -> Any:
    """In float32, operation by operation."""
    product = exactly(ops.cast(step, "float32") * weight_steps)
    return ops.cast(exactly(product * 2.0**GATE_BITS), product_dtype())


def _hidden_ratio(step: Any) -> Any:
    """In float32 too."""
    return ops.cast(exactly(1.0 / ops.cast(step, "float32")), product_dtype()) * 2.0 ** (-2 * CURVE_BITS)


def _join(from_input: Any, from_hidden: Any) -> Any:
    return saturated(from_input + from_hidden)


def _product(left: Any, right: Any, factor: Any) -> Any:
    """Halves go away from zero."""
    product = ops.cast(left * right, product_dtype()) * factor
    return whole(ops.sign(product) * ops.floor(ops.abs(product) + 0.5))


LSTM = LstmRules(_ratio, _hidden_ratio, _join, _product, sigmoid_table, tanh_tables)
