"""RELU, LEAKY_RELU, PRELU, HARD_SWISH, ABS and QUANTIZE of TFLite Micro: codes times a number, or two.

Codes are counted from that of 0.0, and not clipped to a grid. Ratios of steps are computed in double precision.
"""

from typing import Any

from keras import ops

from tfopt._float32 import exactly
from tfopt.kernels.reference._integers import (
    double,
    is_exact,
    quantized_multiplier,
    shifted_down,
    tabulated,
    times,
    whole,
)


def rescale(codes: Any, step: Any, output_step: Any) -> Any:
    """QUANTIZE from one grid of integers to another.

    tflite-micro, micro/kernels/quantize_common.cc and kernels/internal/reference/requantize.h. Of 8-bit codes, of
    16-bit ones, and between them.

    >>> from tfopt.kernels.reference._slopes import rescale
    >>> [int(code) for code in rescale([5, -6], 0.5, 0.75)]
    [3, -4]
    """
    return times(codes, double(step) / double(output_step))


def relu(codes: Any, step: Any, output_step: Any) -> Any:
    """`max(x, 0)` (micro/kernels/activations_common.cc).

    >>> from tfopt.kernels.reference._slopes import relu
    >>> [int(code) for code in relu([5, -6], 0.5, 0.75)]
    [3, 0]
    """
    return ops.maximum(rescale(codes, step, output_step), 0)


def relu6(codes: Any, step: Any) -> Any:
    """`clip(x, 0, 6)` on the grid of the input, whose zero point and step the kernel takes for both.

    tflite-micro, micro/kernels/activations_common.cc.

    >>> from tfopt.kernels.reference._slopes import relu6
    >>> [int(code) for code in relu6([5, -6, 70], 0.1)]
    [5, 0, 60]
    """
    return ops.clip(whole(codes), 0, whole(exactly(6.0 / exactly(step))))


def leaky_relu(codes: Any, step: Any, output_step: Any, slope: Any) -> Any:
    """`x`, or `slope * x` below 0: a multiplier for each side.

    tflite-micro, kernels/internal/reference/leaky_relu.h and micro/kernels/leaky_relu_common.cc.

    Args:
        codes: of any shape.
        step: of the input.
        output_step: of the output.
        slope: positive float32: the layer's own, not a quotient of rounded numbers, for its last digit counts.

    >>> from tfopt.kernels.reference._slopes import leaky_relu
    >>> [int(code) for code in leaky_relu([5, -6], 0.5, 0.25, 0.5)]
    [10, -6]
    """
    below = times(codes, double(step) * double(slope) / double(output_step))
    return ops.where(whole(codes) >= 0, rescale(codes, step, output_step), below)


def prelu(codes: tuple[Any, Any], steps: tuple[Any, Any], output_step: Any) -> Any:
    """`x`, or `alpha * x` below 0.

    tflite-micro, kernels/internal/reference/prelu.h and micro/kernels/prelu_common.cc.

    Args:
        codes: of the input, and of the slopes, which have 8 bits; the shapes broadcast.
        steps: of the input, and of the slopes.
        output_step: of the output.

    >>> from tfopt.kernels.reference._slopes import prelu
    >>> [int(code) for code in prelu(([5, -6], [64, 64]), (0.5, 1 / 128), 0.25)]
    [10, -6]
    """
    values, slopes = map(whole, codes)
    below = times(values * slopes, double(steps[0]) * double(steps[1]) / double(output_step))
    return ops.where(values >= 0, rescale(values, steps[0], output_step), below)


def absolute(codes: Any, step: Any, output_step: Any) -> Any:
    """`|x|` (micro/kernels/elementwise.cc).

    >>> from tfopt.kernels.reference._slopes import absolute
    >>> [int(code) for code in absolute([5, -6], 0.5, 0.25)]
    [10, 12]
    """
    return rescale(ops.abs(whole(codes)), step, output_step)


def hard_swish(codes: Any, step: Any, output_step: Any) -> Any:
    """`x * clip(x + 3, 0, 6) / 6` in 16 bits, on 8-bit codes.

    The code, 128 times as fine, goes once to the grid of the output and once to [-1, 1] for [-3, 3]; their product,
    cut towards 0, is shifted down. tflite-micro, kernels/internal/reference/hard_swish.h and
    micro/kernels/hard_swish_common.cc. `output_step` must be above `step / 128`: else the kernel refuses.

    >>> from tfopt.kernels.reference._slopes import hard_swish
    >>> [int(code) for code in hard_swish([16, -16, 64], 0.0625, 0.0625)]
    [11, -5, 64]
    """
    if not is_exact():
        values = codes * step
        return ops.round(values * ops.clip(values + 3.0, 0.0, 6.0) / (6.0 * output_step))
    fine = double(step) / 128.0
    output_multiplier, output_shift = _short_multiplier(fine / double(output_step))
    relu_multiplier, relu_shift = _short_multiplier(fine / (3.0 / 32768.0))

    def of(codes: Any) -> Any:
        values = codes * 128
        scaled = _short_product(values, output_multiplier)
        # All but the last bit of a shift up comes first, so that what is cut off there does not count.
        gate = _short(ops.left_shift(values, ops.maximum(relu_shift - 1, 0)))
        gate = _short_product(gate, relu_multiplier)
        gate = _short(ops.left_shift(gate, ops.cast(relu_shift > 0, gate.dtype)))
        gate = shifted_down(gate, ops.maximum(-relu_shift, 0))
        product = ops.right_shift(gate + 2**15, 1) * scaled
        product = ops.sign(product) * ops.right_shift(ops.abs(product), 15)
        return shifted_down(product, -output_shift)

    return tabulated(of, whole(codes))


def _short(numbers: Any) -> Any:
    return ops.clip(numbers, -(2**15), 2**15 - 1)


def _short_multiplier(ratio: Any) -> tuple[Any, Any]:
    """The multiplier rounded to 15 bits, and its shift."""
    multiplier, shift = quantized_multiplier(ratio)
    return ops.minimum(ops.right_shift(multiplier + 2**15, 16), 2**15 - 1), shift


def _short_product(numbers: Any, multiplier: Any) -> Any:
    return ops.right_shift(numbers * multiplier + 2**14, 15)
