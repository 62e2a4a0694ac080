"""What TFLite Micro's kernels do to their sums of products: convolutions, FULLY_CONNECTED and BATCH_MATMUL."""

from typing import Any

from tfopt._host_ops import ops
from tfopt.kernels._weighted import KernelWeights
from tfopt.kernels.reference._integers import double, fixed_point, times, times_of_64_bits


def from_sums(
    sums: Any,
    steps: tuple[Any, Any],
    output_step: Any,
    num_bits: int = 8,
    bias_bits: int | None = None,
) -> Any:
    """Sums of products of codes, the bias among them, times `input_step * weight_step / output_step`.

    Each channel has a multiplier, computed in double precision. Sums of 32 bits are rounded twice, those of 64 bits
    once, with a multiplier of 15 bits. tflite-micro, kernels/kernel_util.cc
    (`PopulateConvolutionQuantizationParams`), micro/kernels/fully_connected_common.cc, micro/kernels/batch_matmul.cc.

    Args:
        sums: whole numbers, channels last.
        steps: of the input, and of the weights: a scalar, or one per channel in a shape that broadcasts.
        output_step: of the output.
        num_bits: bits of the activations' codes.
        bias_bits: 32 or 64. By default that of the file's bias: 32 with 8-bit codes, 64 with 16-bit ones.

    Returns:
        Codes counted from that of 0.0, not clipped.

    >>> from tfopt.kernels.reference._products import from_sums
    >>> [int(code) for code in from_sums([100, -70], (0.5, 0.125), 0.25)]
    [25, -18]
    """
    ratio = double(steps[0]) * double(steps[1]) / double(output_step)
    bits = bias_bits or (32 if num_bits <= 8 else 64)
    return times(sums, ratio) if bits == 32 else times_of_64_bits(sums, ratio)


def multiplier(weights: KernelWeights, steps: tuple[Any, Any], output_step: Any, num_bits: int) -> Any:
    """What brings the sums of a kernel with weights to codes, see `Family`: all kinds round alike."""
    return fixed_point(double(steps[0]) * double(steps[1]) / double(output_step))


def requantize(weights: KernelWeights, sums: Any, multiplier: Any, num_bits: int) -> Any:
    """The sums of a kernel with weights as codes."""
    codes = times(sums, multiplier) if num_bits <= 8 else times_of_64_bits(sums, multiplier)
    return ops.cast(codes, "float32")
