"""TFLite Micro's LSTM kernel: FULLY_CONNECTED, ADD, MUL, LOGISTIC and TANH of 16-bit codes, one after the other."""

import functools
from typing import Any

import numpy as np
from keras import ops

from tfopt.kernels._lstm_rules import ALL_CODES, CELL_BITS, CURVE_BITS, GATE_BITS, LstmRules, saturated
from tfopt.kernels._once import untraced
from tfopt.kernels.reference._int16_curves import int16_sigmoid, int16_tanh
from tfopt.kernels.reference._integers import double, times


def _table(function: Any, bits: int) -> np.ndarray:
    """A curve of all codes with so many bits before the point."""
    codes = untraced(lambda: ops.convert_to_numpy(function(ALL_CODES, 2.0 ** (bits - CURVE_BITS))))
    return np.asarray(codes).astype("int32")


@functools.cache
def sigmoid_table() -> np.ndarray:
    """`1 / (1 + exp(-x))` of all codes in steps of 2**-12, in steps of 2**-15."""
    return _table(int16_sigmoid, CURVE_BITS - GATE_BITS)


@functools.cache
def tanh_tables() -> np.ndarray:
    """`tanh(x)` of all codes with 0, 1, ... 6 bits before the point, in steps of 2**-15."""
    return np.stack([_table(int16_tanh, bits) for bits in range(CELL_BITS + 1)])


def _ratio(step: Any, weight_steps: Any) -> Any:
    return double(step) * double(weight_steps) * 2.0**GATE_BITS


def _hidden_ratio(step: Any) -> Any:
    return 2.0 ** (-2 * CURVE_BITS) / double(step)


def _join(from_input: Any, from_hidden: Any) -> Any:
    return saturated(from_input + saturated(from_hidden))


def _product(left: Any, right: Any, factor: Any) -> Any:
    return saturated(times(left * right, factor))


LSTM = LstmRules(_ratio, _hidden_ratio, _join, _product, sigmoid_table, tanh_tables)
