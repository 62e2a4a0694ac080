"""Kernels with weights: their 32-bit sums, the steps of these, and the bias in whole steps."""

import dataclasses
from collections.abc import Callable
from typing import Any, NamedTuple

import keras

from tfopt._float32 import coarse, exactly, float32, power_of_two
from tfopt._host_ops import ops
from tfopt.graph import fold_factor, kind
from tfopt.kernels._fixed_point import product_dtype
from tfopt.kernels._grids import LARGEST_WEIGHT_CODE
from tfopt.kernels._once import once


@dataclasses.dataclass(frozen=True, eq=False)
class KernelWeights:
    """What a kernel multiplies with.

    Attributes:
        layer: the layer that holds the weights (an `IntegerWeights`); None where an affine layer stands alone.
        norm: the batch norm that is folded into them, or the layer of `AFFINE` that stands alone, if any.
        packed: whether a file holds the weights two to a byte, if the kernel reads that.
    """

    layer: Any = None
    norm: keras.layers.Layer | None = None
    packed: bool = False

    @property
    def kind(self) -> str:
        """The kind of the layer; that of a depthwise convolution for what stands alone."""
        return "DepthwiseConv2D" if self.layer is None else kind(self.layer)

    def along_outputs(self, values: Any) -> Any:
        """Numbers of each channel in a shape that broadcasts with the output."""
        return values if self.layer is None else self.layer.along_outputs(values)

    @once
    def steps(self) -> tuple[tuple[Any, Any], Any]:
        """The step of each channel's weights, computed with and stored in a file, and the bias."""
        if self.layer is None:
            # What stands alone is exported as a depthwise convolution, each weight at the largest code.
            step, offset, is_default = 1.0 / LARGEST_WEIGHT_CODE, 0.0, True
        else:
            step, is_default = ops.reshape(self.layer.weight_step(), (-1,)), self.layer.grid.is_default
            offset = self.layer.channel_bias()
        if self.norm is None:
            return (step, step), offset
        factor, offset = AFFINE[kind(self.norm)](self.norm, offset)
        step = exactly(step * ops.abs(factor))
        # The converter finds a scale of the usual grid from the largest weight.
        return (step, coarse(step) if is_default else step), exactly(offset)

    def largest_step(self) -> Any:
        """The largest step of any channel's weights in a file; 1 for a channel whose weights are all 0."""
        (_, stored), _ = self.steps()
        return ops.max(ops.where(stored > 0, stored, 1.0))

    def step(self) -> Any:
        """The step of weights that have one for all."""
        return ops.reshape(self.layer.weight_step(), ())

    def values(self) -> Any:
        """Weights that have one step for all, on their grid."""
        return self.layer.weight_codes() * self.step()

    def unit(self, source: Any) -> Any:
        """The real value of one unit of each channel's sums in a file; 1 input step where all weights are 0."""
        (_, stored), _ = self.steps()
        return source.step() * ops.where(stored > 0, stored, 1.0)

    def stored(self, source: Any) -> tuple[Any, Any]:
        """What a file holds of each channel: the step of its weights, and the bias, a whole number of units."""
        (_, step), offset = self.steps()
        unit = self.unit(source)
        return step, exactly(_units_of(offset, unit, source.num_bits) * ops.cast(unit, product_dtype()))

    def sums(self, codes: Any, dtype: str) -> Any:
        """The sums of products of these input codes and a file's codes, without the bias, in a type that holds them."""
        if self.layer is None:
            sums = ops.cast(codes, dtype) * LARGEST_WEIGHT_CODE
        else:
            sums = self.layer.code_sums(codes, dtype)
        if self.norm is None:
            return sums
        factor, _ = AFFINE[kind(self.norm)](self.norm, 0.0)
        return sums * ops.cast(self.along_outputs(ops.sign(factor)), dtype)

    @once
    def along(self, source: Any, output: Any, multiplier: Callable) -> "Along":
        """What `weighted_codes` reads of the weights, along the outputs.

        Args:
            source: the quantizer of the input.
            output: the quantizer of the output.
            multiplier: the family's (`tfopt.kernels.Family.multiplier`).
        """
        (computed, stored), offset = self.steps()
        input_step, output_step = source.step(), output.grid().step
        stored = ops.where(stored > 0, stored, 1.0)
        step, stored, offset = map(self.along_outputs, (input_step * computed, stored, offset))
        units = _units_of(offset, exactly(input_step * stored), source.num_bits)
        is_alive = step > 0
        # A channel whose weights are all 0 writes its bias, which it counts in steps of the output.
        steps = ops.where(is_alive, input_step, 1.0), ops.where(is_alive, stored, output_step)
        return Along(
            ops.where(is_alive, step, output_step),
            ops.where(is_alive, ops.cast(offset, "float32"), 0.0),
            ops.where(is_alive, ops.cast(units, "float32"), 0.0),
            ops.where(is_alive, units, ops.cast(ops.round(offset / output_step), product_dtype())),
            multiplier(self, steps, output_step, source.num_bits),
        )


def _units_of(offset: Any, unit: Any, num_bits: int) -> Any:
    """A bias in whole units of a file's sums: in double precision, for float32 may take it to the next one."""
    units = ops.round(ops.cast(offset, product_dtype()) / ops.cast(unit, product_dtype()))
    return units if num_bits <= 8 else bias_digits(units)


def bias_digits(units: Any) -> Any:
    """Whole numbers of at most 20 binary digits, the others 0.

    A bias goes into a file through float32, which keeps 24 digits, and the converter computes with it: beside 16-bit
    codes, where it may have 30 digits, the last ones come out otherwise than they went in. These are safe.

    >>> from tfopt.kernels import bias_digits
    >>> [int(units) for units in bias_digits([5.0, 26003327.0, -26003331.0])]
    [5, 26003328, -26003328]
    """
    units = ops.cast(units, product_dtype())
    digits = ops.floor(ops.log2(ops.maximum(ops.abs(units), 1.0))) + 1
    size = ops.cast(power_of_two(ops.maximum(digits - 20, 0)), product_dtype())
    return ops.round(units / size) * size


class Along(NamedTuple):
    """Numbers of each channel, in a shape that broadcasts with the output.

    Attributes:
        step: the real value of one unit of the sums; where all weights are 0, of one code of the output.
        offset: the bias; 0 where all weights are 0.
        units: the same in units of a file's sums.
        added: the same, in the type of products; where all weights are 0, the bias in codes of the output.
        multiplier: what brings sums to codes, in the family's own form; 1 where all weights are 0.
    """

    step: Any
    offset: Any
    units: Any
    added: Any
    multiplier: Any


def weighted_codes(
    weights: KernelWeights, source: Any, requantize: Callable, along: Along, x: Any, operands: Any = ()
) -> Any:
    """`requantize(sum + bias)`: about `round((sum + bias) * input_step * weight_step / output_step)`.

    TFLite 8-bit specification; arXiv 1712.05877, section 2.2. A sum of products of codes is a whole number of steps
    `input_step * weight_step`, and so is the bias. The sum is found again by rounding, which takes away the noise of
    float32 convolutions.

    Args:
        weights: the kernel's weights.
        source: the quantizer of its input.
        requantize: how the family brings sums to codes (`tfopt.kernels.Family.requantize`).
        along: the numbers of each channel.
        x: float tensor, channels last: the output computed in float.
        operands: the input, where `x` does not tell the sums: those of 16-bit codes have more digits than float32, and
            a layer that is called on several grids computes in real numbers.

    Returns:
        float32 tensor of whole numbers, of the shape of `x`.
    """
    if operands:
        codes = ops.round(ops.cast(operands[0], "float32") / source.step())
        dtype = "float32" if source.num_bits <= 8 else product_dtype()
        sums = weights.sums(codes, dtype) + ops.cast(along.added, dtype)
    else:
        sums = ops.round((x - along.offset) / along.step) + along.units
    return requantize(weights, sums, along.multiplier, source.num_bits)


def _batch_norm(norm: keras.layers.BatchNormalization, offset: Any) -> tuple[Any, Any]:
    factor = fold_factor(norm)
    offset = exactly((offset - float32(norm.moving_mean)) * factor)
    return factor, offset + float32(norm.beta) if norm.center else offset


def _rescaling(layer: keras.layers.Rescaling, offset: Any) -> tuple[Any, Any]:
    return float32(layer.scale), float32(layer.offset)


def _layer_scale(layer: keras.layers.Layer, offset: Any) -> tuple[Any, Any]:
    return float32(layer.gamma), 0.0


def _scale_shift(layer: keras.layers.Layer, offset: Any) -> tuple[Any, Any]:
    factor = 1.0 if layer.gamma is None else float32(layer.gamma)
    return factor, 0.0 if layer.beta is None else float32(layer.beta)


# Layers that multiply and add per channel -> their factor, and what they make of the offset of the kernel before them.
AFFINE = {
    "BatchNormalization": _batch_norm,
    "LayerScale": _layer_scale,
    "Rescaling": _rescaling,
    "ScaleShift": _scale_shift,
}
