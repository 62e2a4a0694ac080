"""Quantization: a model that computes on the int8 grid of TFLite, trainable and exportable."""

from tfopt.kernels import ConstantFakeQuantize, FloatBoundary, FloatFence
from tfopt.quantization._config import QuantConfig
from tfopt.quantization._quantize import quantize
from tfopt.quantization._range_settings import Ranges
from tfopt.quantization._register import register_quantized
from tfopt.quantization._report import LayerReport, QuantizationReport
from tfopt.quantization.simulation._fake_quantize import FakeQuantize
from tfopt.quantization.simulation._fused_batch_norm import FusedBatchNormalization
from tfopt.quantization.simulation._quantized_layers import (
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
from tfopt.quantization.simulation._quantized_model import KernelNames, QuantizedModel
from tfopt.quantization.simulation._step_counter import StepCounter

__all__ = [
    "ConstantFakeQuantize",
    "FakeQuantize",
    "FloatBoundary",
    "FloatFence",
    "FusedBatchNormalization",
    "KernelNames",
    "LayerReport",
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
    "Ranges",
    "StepCounter",
    "quantize",
    "register_quantized",
]
