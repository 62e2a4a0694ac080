"""The layers and the model that compute as the integer kernels do, and train."""

from tfopt.quantization.simulation._fake_quantize import FakeQuantize
from tfopt.quantization.simulation._fused_batch_norm import FusedBatchNormalization
from tfopt.quantization.simulation._grid_settings import GridSettings
from tfopt.quantization.simulation._lstm_loop import CellStates
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
from tfopt.quantization.simulation._quantized_lstm import QuantizedLSTM
from tfopt.quantization.simulation._quantized_model import KernelNames, QuantizedModel
from tfopt.quantization.simulation._quantized_weights import QuantizedWeights
from tfopt.quantization.simulation._replacements import REPLACEMENTS, replacing
from tfopt.quantization.simulation._step_counter import StepCounter

__all__ = [
    "REPLACEMENTS",
    "CellStates",
    "FakeQuantize",
    "FusedBatchNormalization",
    "GridSettings",
    "KernelNames",
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
    "QuantizedWeights",
    "StepCounter",
    "replacing",
]
