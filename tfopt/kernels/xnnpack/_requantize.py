"""How LiteRT brings the 32-bit sums of a kernel with weights to codes."""

from typing import Any

from tfopt._float32 import exactly
from tfopt._host_ops import ops
from tfopt.kernels._fixed_point import multiplier_of, rounded_once, rounded_twice
from tfopt.kernels._packing import PACKED_DENSE, PACKED_DEPTHWISE, leaves_xnnpack
from tfopt.kernels._weighted import KernelWeights

_GROUP = 8


def multiplier(weights: KernelWeights, steps: tuple[Any, Any], output_step: Any, num_bits: int) -> Any:
    """What brings sums to codes: a float32 number where XNNPACK computes, else a mantissa and a shift.

    Args:
        weights: what the kernel multiplies with.
        steps: of the input, and of the weights, along the outputs.
        output_step: a scalar.
        num_bits: bits of the activations.
    """
    if num_bits > 8 or _is_in_fixed_point(weights):
        return multiplier_of(steps, output_step)
    return exactly(steps[0] * steps[1] / output_step)


def requantize(weights: KernelWeights, sums: Any, multiplier: Any, num_bits: int) -> Any:
    """Sums to codes: XNNPACK multiplies in float32 and rounds halves to even; LiteRT's own kernels in fixed point.

    Those compute with 16-bit activations, and with most packed weights.

    Args:
        weights: what the kernel multiplies with.
        sums: float tensor of whole numbers, channels last: sum of products of codes, and bias.
        multiplier: as from `multiplier`.
        num_bits: bits of the activations.

    Returns:
        float32 tensor of whole numbers.
    """
    is_dense = weights.layer is not None and weights.kind in PACKED_DENSE
    if num_bits > 8:
        return rounded_once(sums, multiplier, bits=31 if is_dense else 15)
    if _is_in_fixed_point(weights):
        codes = rounded_twice(sums, multiplier, ties="up")
        if weights.kind not in PACKED_DEPTHWISE:
            return codes
        # Whole groups of channels go through vector instructions, and the others one by one.
        channels = sums.shape[-1]
        in_groups = ops.arange(channels) < channels // _GROUP * _GROUP
        return ops.where(in_groups, codes, rounded_twice(sums, multiplier, ties="away"))
    return ops.round(sums * multiplier)


def _is_in_fixed_point(weights: KernelWeights) -> bool:
    return weights.packed and leaves_xnnpack(weights.layer)
