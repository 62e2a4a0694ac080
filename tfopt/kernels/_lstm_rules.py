"""Where the LSTM kernels of two families differ."""

import dataclasses
from collections.abc import Callable
from typing import Any

import numpy as np
from keras import ops

# Bits behind the point of what goes into a gate's curve, and of what comes out.
GATE_BITS, CURVE_BITS = 12, 15
# Bits before the point that a cell can have: its step is 2**(bits - 15).
CELL_BITS = 6

LOWEST, HIGHEST = -(2**15), 2**15 - 1
ALL_CODES = np.arange(LOWEST, HIGHEST + 1)


@dataclasses.dataclass(frozen=True)
class LstmRules:
    """Where the LSTM kernels of two families differ.

    Attributes:
        ratio: `(step, weight_steps) -> ratio`: what a gate's sums of products of codes are multiplied by.
        hidden_ratio: `step -> ratio`: what the product of the output gate and the cell's tanh is multiplied by.
        join: `(from_input, from_hidden) -> codes`: how the two parts of a gate are added, cut off at 16 bits.
        product: `(left, right, divisor) -> codes`: a product over a power of two.
        sigmoid: makes the table of the logistic function, of shape (2**16,).
        tanh: makes a table for each number of bits before the point of the inputs, (`CELL_BITS` + 1, 2**16).
    """

    ratio: Callable[[Any, Any], Any]
    hidden_ratio: Callable[[Any], Any]
    join: Callable[[Any, Any], Any]
    product: Callable[[Any, Any, Any], Any]
    sigmoid: Callable[[], np.ndarray]
    tanh: Callable[[], np.ndarray]


def saturated(numbers: Any) -> Any:
    """Cut off at the ends of 16 bits."""
    return ops.clip(numbers, LOWEST, HIGHEST)
