"""What integer kernels do to their 32-bit sums: each multiplies and rounds in a way of its own."""

import dataclasses
import math
from collections.abc import Callable
from typing import Any

import keras
from keras import ops

from tfopt._rounding import coarse, exactly, float32, power_of_two
from tfopt.graph import fold_factor, kind
from tfopt.quantization._fixed_point import multiplier_of, rounded_once, rounded_twice
from tfopt.quantization._grids import Grid
from tfopt.quantization._means import MEANS, mean, total
from tfopt.quantization._wide_sums import WIDE

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
        packed: whether a file holds the weights two to a byte, if the kernel reads that.
        activation: what a kernel without weights applies before it rounds: "relu", "relu6" or "".
    """

    kind: str
    sources: tuple[Any, ...]
    weights: keras.layers.Layer | None = None
    norm: keras.layers.Layer | None = None
    packed: bool = False
    activation: str = ""

    def codes(self, x: Any, operands: Any, grid: Grid) -> Any:
        """The kernel's output in codes, before it clips them, from the real numbers that they stand for.

        Args:
            x: float tensor, channels last: the output computed in float.
            operands: the float tensors that the kernel reads, where `x` does not tell them.
            grid: the grid of the output.

        Returns:
            float32 tensor of the shape of `x`, of whole numbers counted from the code of 0.0.
        """
        _, function = KERNELS[self.kind]
        if self.sources[0].num_bits > 8:
            function = WIDE.get(self.kind, function)
        codes = function(self, ops.cast(x, "float32"), operands, grid)
        # Kernels that add codes do not see what `x` went through; where a grid has codes below 0.0, that counts.
        codes = ops.maximum(codes, 0.0) if self.activation else codes
        return ops.minimum(codes, ops.round(6.0 / grid.step)) if self.activation == "relu6" else codes

    def smallest_step(self) -> Any:
        """The smallest step of the output that the kernel can write: a scalar."""
        if self.kind in _OF_ANY_STEP:
            return 0.0
        if self.kind == "weights":
            step = ops.max(_unit(self, _weight_steps(self)[0][1]))
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


def _weighted(kernel: Kernel, x: Any, operands: Any, grid: Grid) -> Any:
    """`round((sum + bias) * multiplier)`, `multiplier = input_step * weight_step / output_step`.

    TFLite 8-bit specification; arXiv 1712.05877, section 2.2. A sum of products of codes is a whole number of steps
    `input_step * weight_step`, and so is the bias. The sum is found again by rounding, which takes away the noise of
    float32 convolutions.
    """
    (computed, stored), offset = _weight_steps(kernel)
    input_step = kernel.sources[0].step()
    stored = ops.where(stored > 0, stored, 1.0)
    step, stored, offset = map(kernel.along_outputs, (input_step * computed, stored, offset))
    is_alive = step > 0
    step = ops.where(is_alive, step, 1.0)
    sums = ops.round((x - offset) / step) + ops.round(exactly(offset / (input_step * stored)))
    codes = _requantized(kernel, sums, (input_step, stored), grid.step)
    return ops.where(is_alive, codes, ops.round(x / grid.step))


# TRANSPOSE_CONV reads no packed weights.
_DEPTHWISE = ("DepthwiseConv1D", "DepthwiseConv2D")
_PACKED_CONVOLUTIONS = ("Conv1D", "Conv2D", *_DEPTHWISE)
_GROUP = 8


def _leaves_xnnpack(layer: Any) -> bool:
    """Whether XNNPACK does not compute a layer with packed weights: it multiplies matrices of even depth alone."""
    if kind(layer) not in ("Dense", "EinsumDense"):
        return kind(layer) in _PACKED_CONVOLUTIONS
    kept = {axis % len(layer.kernel.shape) for axis in layer.axes_of("kernel")}
    depth = math.prod(size for axis, size in enumerate(layer.kernel.shape) if axis not in kept)
    return depth % 2 == 1


def _requantized(kernel: Kernel, sums: Any, steps: tuple[Any, Any], output_step: Any) -> Any:
    """Sums to codes: XNNPACK multiplies in float32 and rounds halves to even; LiteRT's own kernels in fixed point.

    Those compute with 16-bit activations, and with most packed weights.
    """
    if kernel.sources[0].num_bits > 8:
        is_dense = kernel.weights is not None and kind(kernel.weights) in ("Dense", "EinsumDense")
        return rounded_once(sums, multiplier_of(steps, output_step), bits=31 if is_dense else 15)
    if kernel.packed and _leaves_xnnpack(kernel.weights):
        multiplier = multiplier_of(steps, output_step)
        codes = rounded_twice(sums, multiplier, halves="up")
        if kind(kernel.weights) not in _DEPTHWISE:
            return codes
        # Whole groups of channels go through vector instructions, and the others one by one.
        channels = sums.shape[-1]
        in_groups = ops.arange(channels) < channels // _GROUP * _GROUP
        return ops.where(in_groups, codes, rounded_twice(sums, multiplier, halves="away"))
    return ops.round(sums * exactly(steps[0] * steps[1] / output_step))


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


def _multiply(kernel: Kernel, x: Any, operands: Any, grid: Grid) -> Any:
    """The product of two codes is a whole number; it is multiplied in float32 and rounded, halves to even."""
    left, right = kernel.sources
    step = left.step() * right.step()
    return ops.round(ops.round(x / step) * exactly(step / grid.step))


def _add(kernel: Kernel, x: Any, operands: Any, grid: Grid, sign: int = 1) -> Any:
    """`(a * A + b * B + half) >> shift` on 32-bit integers, halves up; `A`, `B` have 21 bits, as in XNNPACK."""
    ratios = [source.step() / grid.step for source in kernel.sources]
    shift = 20.0 - ops.floor(ops.log2(ops.maximum(*ratios)))
    total = ops.left_shift(1, ops.cast(shift, "int32") - 1)
    for factor, ratio, source, operand in zip((1, sign), ratios, kernel.sources, operands, strict=True):
        multiplier = ops.cast(ops.round(ratio * power_of_two(shift)), "int32")
        codes = ops.cast(ops.round(ops.cast(operand, "float32") / source.step()), "int32")
        total = total + factor * multiplier * codes
    return ops.cast(ops.right_shift(total, ops.cast(shift, "int32")), "float32")


def _subtract(kernel: Kernel, x: Any, operands: Any, grid: Grid) -> Any:
    return _add(kernel, x, operands, grid, sign=-1)


def _matmul(kernel: Kernel, x: Any, operands: Any, grid: Grid) -> Any:
    """XNNPACK multiplies where the second factor's zero point is 0; else LiteRT's BATCH_MATMUL, in fixed point."""
    left, right = kernel.sources
    step = left.step() * right.step()
    sums = ops.round(x / step)
    once = ops.round(sums * exactly(step / grid.step))
    twice = rounded_twice(sums, multiplier_of((step,), grid.step), halves="away")
    return ops.where(ops.equal(right.grid().zero_point, 128.0), once, twice)


def _leaky_relu(kernel: Kernel, x: Any, operands: Any, grid: Grid) -> Any:
    """`(code * multiplier + 128) >> 8`, as XNNPACK has it; the multiplier is `256 * slope` of this side of zero."""
    source = ops.cast(operands[0], "float32")
    codes = ops.round(source / kernel.sources[0].step())
    # The slope is that of what was computed in float: alpha itself is known to the layer alone.
    multiplier = ops.round(256.0 * ops.divide_no_nan(x, source) * (kernel.sources[0].step() / grid.step))
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
# Their kernels take any multiplier.
_OF_ANY_STEP = ("Sum", *MEANS)
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
    "Sum": (1, total),
    **dict.fromkeys(MEANS, (1, mean)),
}
