from ._check import check
from ._config import QuantConfig
from ._quantize import quantize
from ._range_settings import Ranges
from ._register import register_quantized
from ._report import LayerReport, QuantizationReport
from ._streaming import streaming
from .post_training._activation_errors import measure_activations
from .simulation._fake_quantize import FakeQuantize
from .simulation._fused_batch_norm import FusedBatchNormalization
from .simulation._quantized_layers import (
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
from .simulation._quantized_lstm import QuantizedLSTM
from .simulation._quantized_model import KernelNames, QuantizedModel
from .simulation._step_counter import StepCounter

__all__ = [
    "FakeQuantize",
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
    "QuantizedLSTM",
    "QuantizedModel",
    "QuantizedPReLU",
    "Ranges",
    "StepCounter",
    "check",
    "measure_activations",
    "quantize",
    "register_quantized",
    "streaming",
]
