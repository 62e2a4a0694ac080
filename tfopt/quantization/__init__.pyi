from ._batch_norm import FusedBatchNormalization
from ._config import QuantConfig
from ._constant_fake_quantize import ConstantFakeQuantize
from ._fake_quantize import FakeQuantize
from ._float_fence import FloatFence
from ._island import FloatBoundary
from ._layers import (
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
from ._model import Link, QuantizedModel
from ._quantize import quantize
from ._register import register_quantized
from ._report import LayerReport, QuantizationReport
from ._schedule import StepCounter

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
