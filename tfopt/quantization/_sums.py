"""What integer kernels do to their 32-bit sums: each multiplies and rounds in a way of its own."""

import dataclasses
import math
from collections.abc import Callable
from typing import Any

import keras
from keras import ops

from tfopt._rounding import coarse, exactly, float32, power_of_two
from tfopt.graph import fold_factor, kind

# XNNPACK refuses to load a file with a multiplier of 256; training may yet raise those of a layer that is always zero.
_LARGEST_MULTIPLIER = 128.0


@dataclasses.dataclass(frozen=True, eq=False)
class Kernel:
    """The kernel that writes a site.

    Attributes:
        kind: a key of `KERNELS`.
        sources: the quantizers of its inputs.
        weights: the layer with its weights, of `tfopt.quantization`, if it has any.
        norm: the batch norm that is folded into them, or the layer of `AFFINE` that stands alone, if any.
    """

    kind: str
    sources: tuple[Any, ...]
    weights: keras.layers.Layer | None = None
    norm: keras.layers.Layer | None = None

    def codes(self, x: Any, operands: Any, step: Any) -> Any:
        """The kernel's output in codes, before it clips them, from the real numbers that they stand for.

        Args:
            x: float tensor, channels last: the output computed in float.
            operands: the float tensors that the kernel reads, where `x` does not tell them.
            step: scalar, the real value of one code of the output.

        Returns:
            float32 tensor of the shape of `x`, of whole numbers counted from the code of 0.0.
        """
        _, function = KERNELS[self.kind]
        return function(self, ops.cast(x, "float32"), operands, step)

    def smallest_step(self) -> Any:
        """The smallest step of the output that the kernel can write: a scalar."""
        if self.kind == "weights":
            step = ops.max(_sum_grid(self)[1])
        else:
            steps = [source.step() for source in self.sources]
            step = ops.maximum(*steps) if self.kind in ("Add", "Subtract") else math.prod(steps)
        return step / _LARGEST_MULTIPLIER

    def along_outputs(self, values: Any) -> Any:
        """Numbers of each channel in a shape that broadcasts with the output."""
        return values if self.weights is None else self.weights.along_outputs(values)

    def stored(self) -> tuple[Any, Any]:
        """What a file holds of a weighted kernel, of each channel: the step of its weights, and the bias.

        The bias is a whole number of steps of the sums.
        """
        (_, step), offset = _weight_steps(self)
        unit = _unit(self, step)
        return step, ops.round(exactly(offset / unit)) * unit


def _weighted(kernel: Kernel, x: Any, operands: Any, output_step: Any) -> Any:
    """`round((sum + bias) * multiplier)`, halves to even, `multiplier = input_step * weight_step / output_step`.

    In float32, as XNNPACK has it (TFLite 8-bit specification; arXiv 1712.05877, section 2.2). A sum of products of
    codes is a whole number of steps `input_step * weight_step`, and so is the bias. The sum is found again by
    rounding, which takes away the noise of float32 convolutions.
    """
    step, stored, offset = map(kernel.along_outputs, _sum_grid(kernel))
    is_alive = step > 0
    step = ops.where(is_alive, step, 1.0)
    sums = ops.round((x - offset) / step) + ops.round(exactly(offset / stored))
    return ops.round(ops.where(is_alive, sums * exactly(stored / output_step), x / output_step))


def _sum_grid(kernel: Kernel) -> tuple[Any, Any, Any]:
    """The real value of one unit of the sums, the same as the file has it, and the bias: of each output channel."""
    (step, stored), offset = _weight_steps(kernel)
    return kernel.sources[0].step() * step, _unit(kernel, stored), offset


def _unit(kernel: Kernel, stored: Any) -> Any:
    """The real value of one unit of the sums in a file, from the step of the weights in it; 1 step where that is 0."""
    return kernel.sources[0].step() * ops.where(stored > 0, stored, 1.0)


def _weight_steps(kernel: Kernel) -> tuple[tuple[Any, Any], Any]:
    """The step of each channel's weights, computed with and stored in a file, and the bias."""
    if kernel.weights is None:
        # What stands alone is exported as a depthwise convolution, each weight at 127.
        step, offset, is_default = 1.0 / 127.0, 0.0, True
    else:
        step, is_default = ops.reshape(kernel.weights.weight_step(), (-1,)), kernel.weights.grid.is_default
        offset = kernel.weights.channel_bias()
    if kernel.norm is None:
        return (step, step), offset
    factor, offset = AFFINE[kind(kernel.norm)](kernel.norm, offset)
    step = exactly(step * ops.abs(factor))
    # The converter finds a scale of the usual grid from the largest weight.
    return (step, coarse(step) if is_default else step), exactly(offset)


def _multiply(kernel: Kernel, x: Any, operands: Any, output_step: Any) -> Any:
    """The product of two codes is a whole number; it is multiplied in float32 and rounded, halves to even."""
    left, right = kernel.sources
    step = left.step() * right.step()
    return ops.round(ops.round(x / step) * exactly(step / output_step))


def _add(kernel: Kernel, x: Any, operands: Any, output_step: Any, sign: int = 1) -> Any:
    """`(a * A + b * B + half) >> shift` on 32-bit integers, halves up; `A`, `B` have 21 bits, as in XNNPACK."""
    ratios = [source.step() / output_step for source in kernel.sources]
    shift = 20.0 - ops.floor(ops.log2(ops.maximum(*ratios)))
    total = ops.left_shift(1, ops.cast(shift, "int32") - 1)
    for factor, ratio, source, operand in zip((1, sign), ratios, kernel.sources, operands, strict=True):
        multiplier = ops.cast(ops.round(ratio * power_of_two(shift)), "int32")
        codes = ops.cast(ops.round(ops.cast(operand, "float32") / source.step()), "int32")
        total = total + factor * multiplier * codes
    return ops.cast(ops.right_shift(total, ops.cast(shift, "int32")), "float32")


def _subtract(kernel: Kernel, x: Any, operands: Any, output_step: Any) -> Any:
    return _add(kernel, x, operands, output_step, sign=-1)


def _matmul(kernel: Kernel, x: Any, operands: Any, output_step: Any) -> Any:
    """`sum * multiplier` in fixed point, rounded twice: halves up, then away from zero (gemmlowp; arXiv 1712.05877).

    The multiplier has 31 bits, as LiteRT's BATCH_MATMUL has it. After a shift by `n` bits only, a part of `2**-n` of
    all results differs from rounding once.
    """
    left, right = kernel.sources
    if left.num_bits != 8 or right.num_bits != 8:
        return ops.round(x / output_step)
    # Products of 52 bits. JAX has no float64 unless asked: there a rounding in ten thousand goes the other way.
    wide = "float64" if keras.backend.backend() == "tensorflow" else "float32"
    step = left.step() * right.step()
    ratio = ops.cast(step, wide) / ops.cast(output_step, wide)
    shift = ops.floor(ops.log2(ratio)) + 1
    mantissa = ops.round(ratio / ops.cast(power_of_two(shift), wide) * 2.0**31) / 2.0**31
    before, after = (ops.cast(power_of_two(end(shift, 0)), wide) for end in (ops.maximum, ops.minimum))
    once = ops.floor(ops.cast(ops.round(x / step), wide) * before * mantissa + 0.5)
    return ops.cast(ops.sign(once) * ops.floor(ops.abs(once) * after + 0.5), "float32")


def _leaky_relu(kernel: Kernel, x: Any, operands: Any, output_step: Any) -> Any:
    """`(code * multiplier + 128) >> 8`, as XNNPACK has it; the multiplier is `256 * slope` of this side of zero."""
    source = ops.cast(operands[0], "float32")
    codes = ops.round(source / kernel.sources[0].step())
    # The slope is that of what was computed in float: alpha itself is known to the layer alone.
    multiplier = ops.round(256.0 * ops.divide_no_nan(x, source) * (kernel.sources[0].step() / output_step))
    return ops.floor(codes * multiplier / 256.0 + 0.5)


def _batch_norm(norm: keras.layers.BatchNormalization, offset: Any) -> tuple[Any, Any]:
    factor = fold_factor(norm)
    offset = exactly((offset - float32(norm.moving_mean)) * factor)
    return factor, offset + float32(norm.beta) if norm.center else offset


def _rescaling(layer: keras.layers.Rescaling, offset: Any) -> tuple[Any, Any]:
    return float32(layer.scale), float32(layer.offset)


def _layer_scale(layer: keras.layers.Layer, offset: Any) -> tuple[Any, Any]:
    return float32(layer.gamma), 0.0


# Layers that multiply and add per channel -> their factor, and what they make of the offset of the kernel before them.
AFFINE = {"BatchNormalization": _batch_norm, "LayerScale": _layer_scale, "Rescaling": _rescaling}
# Kind of kernel -> how many tensors it reads, and how it rounds them.
KERNELS: dict[str, tuple[int, Callable]] = {
    "weights": (1, _weighted),
    "Add": (2, _add),
    "Subtract": (2, _subtract),
    "Multiply": (2, _multiply),
    "Matmul": (2, _matmul),
    "Einsum": (2, _matmul),
    "Dot": (2, _matmul),
    "leaky_relu": (1, _leaky_relu),
}
