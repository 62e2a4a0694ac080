"""LOGISTIC, TANH and SOFTMAX of TFLite Micro on 16-bit codes: tables with straight lines in between.

Codes are counted from that of 0.0, which is the stored code 0. Outputs have steps of 2**-15 and are not clipped.
"""

from typing import Any

import numpy as np
from keras import ops

from tfopt._float32 import exactly
from tfopt.kernels.reference._integers import double, floor_log2, is_exact, times, whole

# The table's largest slope that a code is multiplied by has 15 bits.
_LARGEST = 32767.0 / 2.0
_MOST_SHIFTS = 31
# Steps of the inputs of the table: 1 / (3 * 4096), of which 512 or 256 lie between two entries.
_UNIT = 4096.0 * 3.0

# The table of sigmoid(k / 24) in steps of 2**-16 (kernels/internal/common.h) is the nearest number, and one more here:
_ONE_ABOVE = """
    4 8 12 14 15 16 17 19 20 21 22 25 27 28 29 30 31 33 34 35 37 39 40 41 43 44 45 46 49 50 54 62 63 64
    66 82 86 93 100 103 112 116 135 255
"""


def _sigmoid_table() -> np.ndarray:
    table = np.round(65536.0 / (1.0 + np.exp(-np.arange(256) / 24.0))).astype("int64")
    table[[int(entry) for entry in _ONE_ABOVE.split()]] += 1
    return table


_SIGMOID = _sigmoid_table()


def _scaled(codes: Any, step: Any, shifts: tuple[int, ...]) -> Any:
    """Codes in steps of 1/12288: times an integer of 15 bits, cut, not rounded, and shifted down, halves up.

    Where the step is a power of two, by a thousandth, and one of `2**-12 * 2**shift`, times exactly `3 * 2**shift`.
    """
    # The multiplier is doubled until it is above half of what 15 bits hold.
    ratio = double(step) * _UNIT
    doublings = floor_log2(ops.cast(ops.floor(_LARGEST / ratio), "int64")) + 1
    power = double(ops.where(ratio > _LARGEST, 0, ops.minimum(doublings, _MOST_SHIFTS)))
    multiplier, down = ops.cast(ops.floor(ratio * 2.0**power), "int64"), ops.cast(power, "int64")
    half = ops.right_shift(ops.left_shift(ops.ones_like(down), down), 1)
    result = ops.right_shift(codes * multiplier + half, down)
    logarithm = ops.log2(double(step))
    for shift in shifts:
        is_power = ops.abs(logarithm - (shift - 12.0)) < 1e-3
        result = ops.where(is_power, codes * (3 * 2**shift), result)
    return result


def _interpolated(size: Any, bits: int) -> Any:
    """`sigmoid_table[size / 2**bits]` times `2**bits`, straight between two entries; 0 where it is off the table."""
    entry = ops.right_shift(size, bits)
    at = ops.cast(ops.minimum(entry, 254), "int32")
    low, high = ops.take(_SIGMOID, at), ops.take(_SIGMOID, at + 1)
    return low * 2**bits + ops.bitwise_and(size, 2**bits - 1) * (high - low), entry >= 255


def int16_sigmoid(codes: Any, step: Any) -> Any:
    """`1 / (1 + exp(-x))` in steps of 2**-15 (kernels/internal/reference/integer_ops/logistic.h).

    >>> from tfopt.kernels.reference._int16_curves import int16_sigmoid
    >>> [int(code) for code in int16_sigmoid([0, 4096, -4096], 2.0**-12)]
    [16384, 23956, 8812]
    """
    if not is_exact():
        return ops.round(2.0**15 * ops.sigmoid(codes * step))
    numbers = _scaled(whole(codes), step, (0,))
    curve, is_off = _interpolated(ops.abs(numbers), 9)
    curve = ops.where(is_off, 0x7FFF << 10, curve)
    return ops.right_shift(ops.where(numbers >= 0, curve + 2**9, 2**25 - curve + 2**9 - 1), 10)


def int16_tanh(codes: Any, step: Any) -> Any:
    """`tanh(x) = 2 * sigmoid(2 * x) - 1` in steps of 2**-15 (kernels/internal/reference/integer_ops/tanh.h).

    >>> from tfopt.kernels.reference._int16_curves import int16_tanh
    >>> [int(code) for code in int16_tanh([0, 4096, -4096], 2.0**-12)]
    [0, 24956, -24956]
    """
    if not is_exact():
        return ops.round(2.0**15 * ops.tanh(codes * step))
    numbers = _scaled(whole(codes), step, (0, 1))
    curve, is_off = _interpolated(ops.abs(numbers), 8)
    curve = ops.where(is_off, 0xFFFF << 8, curve)
    middle, half = 2**23, 2**7
    return ops.right_shift(ops.where(numbers >= 0, curve - middle + half, middle - curve + half - 1), 8)


def _table_of(function: Any, low: float, high: float, one: Any) -> np.ndarray:
    """513 values of a function in steps of `2**-15`, moved by half of what straight lines miss midway.

    kernels/internal/common.h, `LUTPopulateInt16`: in float32 in TFLite Micro, in float64 (`gen_lut`) in LiteRT.
    """
    step, scale = (one(high) - one(low)) / one(512), one(65536) / (one(65535) * (one(2) / one(65535)))
    points = one(low) + np.arange(513).astype(one) * step
    values = function(points) * scale
    middles = _nearest(function(points[:-1] + step / one(2)) * scale)
    between = _nearest((values[1:] + _nearest(values[:-1])) / one(2))
    table = _nearest(values[:-1]) - _nearest((between - middles) / one(2))
    return np.clip(np.append(table, _nearest(values[-1:])), -(2**15), 2**15 - 1).astype("int64")


def _nearest(numbers: np.ndarray) -> np.ndarray:
    return np.sign(numbers) * np.floor(np.abs(numbers) + numbers.dtype.type(0.5))


# Whether the tables of exp(x) and 1 / (1 + x) are made in double precision -> both.
_TABLES = {
    is_double: (
        _table_of(np.exp, -10.0, 0.0, one),
        _table_of(lambda x, one=one: one(1) / (one(1) + x), 0.0, 1.0, one),
    )
    for is_double, one in ((False, np.float32), (True, np.float64))
}


def _looked_up(numbers: Any, table: np.ndarray) -> Any:
    """The table at `numbers / 2**7`, from -2**15, with a straight line between two entries (`LUTLookup`)."""
    at = ops.cast(ops.right_shift(numbers, 7) + 256, "int32")
    low, high = ops.take(table, at), ops.take(table, at + 1)
    return low + ops.right_shift((high - low) * ops.bitwise_and(numbers, 127) + 64, 7)


def int16_softmax(codes: Any, step: Any, in_double: bool = False) -> Any:
    """`exp(x) / sum(exp(x))` over the last axis in steps of 2**-15; `exp` is cut off at -10.

    tflite-micro, kernels/internal/reference/softmax.h (`SoftmaxInt16`) and micro/kernels/softmax_common.cc.

    Args:
        codes: of any shape.
        step: of the input.
        in_double: whether the kernel makes its tables in double precision, as LiteRT does.

    >>> from tfopt.kernels.reference._int16_curves import int16_softmax
    >>> [int(code) for code in int16_softmax([0, 4096, -4096], 2.0**-12)]
    [8020, 21798, 2950]
    """
    if not is_exact():
        return ops.round(2.0**15 * ops.softmax(codes * step, axis=-1))
    codes, (exponential, one_over_one_plus) = whole(codes), _TABLES[in_double]
    below = codes - ops.max(codes, axis=-1, keepdims=True)
    powers = times(below, double(step) / (10.0 / 65535.0)) + 32767
    powers = _looked_up(ops.clip(powers, -(2**15), 2**15 - 1), exponential)
    total = ops.sum(powers, axis=-1, keepdims=True)
    zeros = 31 - floor_log2(total)
    shifted = ops.right_shift(ops.left_shift(total, zeros - 1) + 2**13, 14) - (2**15 + 2**16)
    inverse = _looked_up(ops.clip(shifted, -(2**15), 2**15 - 1), one_over_one_plus)
    down = 31 - zeros
    half = ops.left_shift(ops.ones_like(down), down - 1)
    return ops.clip(ops.right_shift(powers * inverse + half, down), 0, 2**15 - 1)


def elu(codes: Any, step: Any, output_step: Any) -> Any:
    """ELU of 8-bit codes: `exp(x) - 1` below 0, looked up in a table made in float32 (micro/kernels/elu.cc).

    The exponential of the machine that makes the table may differ in the last digit from that of the backend.

    >>> from tfopt.kernels.reference._int16_curves import elu
    >>> [int(code) for code in elu([0, 4, -16], 0.0625, 0.0078125)]
    [0, 32, -81]
    """
    values = exactly(ops.cast(codes, "float32") * step)
    curve = ops.where(values < 0.0, exactly(ops.exp(ops.minimum(values, 0.0))) - 1.0, values)
    scaled = exactly(curve * exactly(1.0 / exactly(output_step)))
    return ops.sign(scaled) * ops.floor(ops.abs(scaled) + 0.5)
