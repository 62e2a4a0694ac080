"""Kernels with weights on random codes and grids: one pixel at a time, so that the sums are a product of matrices."""

import dataclasses

import numpy as np

from tests.kernels.one_operator import Tensor, one_operator
from tests.kernels.samples import Grid

_PIXELS, _CHANNELS, _OUTPUTS = 4, 12, 10
# Operator -> the kind of layer that it is, the class of its options in the schema, and what to set of them.
WEIGHTED = {
    "CONV_2D": (
        "Conv2D",
        "Conv2DOptions",
        {"strideH": 1, "strideW": 1, "dilationHFactor": 1, "dilationWFactor": 1},
    ),
    "DEPTHWISE_CONV_2D": (
        "DepthwiseConv2D",
        "DepthwiseConv2DOptions",
        {"strideH": 1, "strideW": 1, "dilationHFactor": 1, "dilationWFactor": 1, "depthMultiplier": 1},
    ),
    "TRANSPOSE_CONV": ("Conv2DTranspose", "TransposeConvOptions", {"strideH": 1, "strideW": 1}),
    "FULLY_CONNECTED": ("Dense", "FullyConnectedOptions", {}),
}


@dataclasses.dataclass(frozen=True)
class Weighted:
    """One operator with weights on one set of codes; `bias` has 32 or 64 bits."""

    name: str
    source: Grid
    output: Grid
    codes: np.ndarray
    weights: np.ndarray
    weight_scales: np.ndarray
    bias: np.ndarray

    def sums(self) -> np.ndarray:
        """Sums of products of codes, and the bias: int64, channels last."""
        codes = self.codes.astype("int64") - self.source.zero_point
        weights = self.weights.astype("int64")
        products = codes * weights[0] if self.name == "DEPTHWISE_CONV_2D" else codes @ weights.T
        return products + self.bias

    def content(self) -> bytes:
        """The file."""
        _, options, settings = WEIGHTED[self.name]
        rows, channels = self.weights.shape
        is_dense = self.name == "FULLY_CONNECTED"
        data = self.source.tensor(self.codes.shape)
        shape, axis = ((rows, channels), 0) if is_dense else ((rows, 1, 1, channels), 0)
        if self.name == "DEPTHWISE_CONV_2D":
            axis = 3
        kernel = Tensor(shape, "int8", self.weight_scales, data=self.weights, axis=axis)
        bias_scales = self.weight_scales * np.float32(self.source.scale)
        bias = Tensor(self.bias.shape, str(self.bias.dtype), bias_scales, data=self.bias)
        inputs = [data, kernel, bias]
        written = self.sums().shape
        if self.name == "TRANSPOSE_CONV":
            inputs = [Tensor((4,), "int32", data=written), kernel, data, bias]
        return one_operator(self.name, inputs, [self.output.tensor(written)], options, **settings)


def random_weighted(
    name: str, num_bits: int, per_channel: bool, rng: np.random.Generator, bias_bits: int = 0
) -> Weighted:
    """An operator on random codes, weights and grids; the output's grid about spans the outputs."""
    limit = 2 ** (num_bits - 1)
    scale = float(np.float32(np.exp(rng.uniform(-7, -1)) / (256 if num_bits == 16 else 1)))
    source = Grid(scale, int(rng.integers(-128, 128)) if num_bits == 8 else 0, num_bits)
    shape = (1, _PIXELS, _PIXELS, _CHANNELS) if name != "FULLY_CONNECTED" else (_PIXELS**2, _CHANNELS)
    outputs = 1 if name == "DEPTHWISE_CONV_2D" else _OUTPUTS
    scales = np.exp(rng.uniform(-8, -3, _CHANNELS if outputs == 1 else _OUTPUTS)).astype("float32")
    if not per_channel:
        scales = scales[:1]
    bias_bits = bias_bits or (32 if num_bits == 8 else 64)
    sample = Weighted(
        name,
        source,
        source,
        rng.integers(-limit, limit, shape).astype(f"int{num_bits}"),
        rng.integers(-127, 128, (outputs, _CHANNELS)).astype("int8"),
        scales,
        rng.integers(-20 * limit * 127, 20 * limit * 127, _CHANNELS if outputs == 1 else _OUTPUTS).astype(
            f"int{bias_bits}"
        ),
    )
    real = sample.sums() * scales.astype("float64") * scale
    width = (real.max() - real.min()) / (2**num_bits - 1) * rng.uniform(0.2, 1.5)
    step = float(np.float32(width if num_bits == 8 else width * 2))
    zero_point = int(np.clip(np.round(-128 - real.min() / step), -128, 127)) if num_bits == 8 else 0
    return dataclasses.replace(sample, output=Grid(step, zero_point, num_bits))
