"""Quantization: a model that computes on the int8 grid of TFLite, trainable and exportable."""

from tfopt.quantization._batch_norm import FusedBatchNormalization
from tfopt.quantization._config import QuantConfig
from tfopt.quantization._constant_fake_quantize import ConstantFakeQuantize
from tfopt.quantization._fake_quantize import FakeQuantize
from tfopt.quantization._float_fence import FloatFence
from tfopt.quantization._island import FloatBoundary
from tfopt.quantization._layers import (
    QuantizedConv1D,
    QuantizedConv1DTranspose,
    QuantizedConv2D,
    QuantizedConv2DTranspose,
    QuantizedDense,
    QuantizedDepthwiseConv1D,
    QuantizedDepthwiseConv2D,
    QuantizedEinsumDense,
    QuantizedPReLU,
)
from tfopt.quantization._model import Link, QuantizedModel
from tfopt.quantization._quantize import quantize
from tfopt.quantization._register import register_quantized
from tfopt.quantization._report import LayerReport, QuantizationReport
from tfopt.quantization._schedule import StepCounter

__all__ = [
    "ConstantFakeQuantize",
    "FakeQuantize",
    "FloatBoundary",
    "FloatFence",
    "FusedBatchNormalization",
    "LayerReport",
    "Link",
    "QuantConfig",
    "QuantizationReport",
    "QuantizedConv1D",
    "QuantizedConv1DTranspose",
    "QuantizedConv2D",
    "QuantizedConv2DTranspose",
    "QuantizedDense",
    "QuantizedDepthwiseConv1D",
    "QuantizedDepthwiseConv2D",
    "QuantizedEinsumDense",
    "QuantizedModel",
    "QuantizedPReLU",
    "StepCounter",
    "quantize",
    "register_quantized",
]
