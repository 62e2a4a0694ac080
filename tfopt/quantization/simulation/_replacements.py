"""Which quantized layer takes the place of which layer."""

from collections.abc import Callable
from typing import Any

import keras

from tfopt._float32 import HALF_FLOATS
from tfopt.graph import clone_operation, kind
from tfopt.kernels import FloatBoundary, FloatFence, registered_class
from tfopt.quantization.simulation._fake_quantize import FakeQuantize
from tfopt.quantization.simulation._fused_batch_norm import FusedBatchNormalization
from tfopt.quantization.simulation._grid_settings import GridSettings
from tfopt.quantization.simulation._integer_accumulation import IntegerAccumulation
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
from tfopt.quantization.simulation._step_counter import StepCounter

# The kind of a layer -> the class that takes its place.
REPLACEMENTS: dict[str, type[keras.layers.Layer]] = {
    "BatchNormalization": FusedBatchNormalization,
    "Conv1D": QuantizedConv1D,
    "Conv1DTranspose": QuantizedConv1DTranspose,
    "Conv2D": QuantizedConv2D,
    "Conv2DTranspose": QuantizedConv2DTranspose,
    "Dense": QuantizedDense,
    "DepthwiseConv1D": QuantizedDepthwiseConv1D,
    "DepthwiseConv2D": QuantizedDepthwiseConv2D,
    "EinsumDense": QuantizedEinsumDense,
    "LSTM": QuantizedLSTM,
    "PReLU": QuantizedPReLU,
}


def _in_float32(op: keras.Operation) -> dict[str, Any]:
    """The change to the config of a layer that computes in 16 bits of float, which no integer kernel rounds like."""
    dtype = getattr(op, "compute_dtype", None)
    return {"dtype": "float32"} if dtype in HALF_FLOATS else {}


def replacing(
    linear: set[int],
    settings: Callable[[keras.Operation], Any] = lambda op: None,
    made: dict[int, keras.Operation] | None = None,
    keep: bool = False,
) -> Callable[[keras.Operation, str], keras.Operation]:
    """How `build_model` makes the new layers, activations split off.

    Args:
        linear: `id(op)` of the layers that lose their activation.
        settings: the `QuantConfig` for an operation's weights; None to leave them float.
        made: each new layer is remembered here, by `id` of the operation that it replaces.
        keep: whether an operation that needs no change is returned itself, and not a copy of it.
    """

    def replace(op: keras.Operation, name: str) -> keras.Operation:
        new = make(op, name)
        if made is not None:
            made[id(op)] = new
        return new

    def make(op: keras.Operation, name: str) -> keras.Operation:
        if isinstance(op, (FakeQuantize, FloatBoundary, FloatFence, StepCounter)):
            return op
        chosen = settings(op)
        quantized = (registered_class(op) or REPLACEMENTS.get(kind(op))) if chosen is not None else None
        exact = quantized is not None and issubclass(quantized, IntegerAccumulation)
        in_float32 = {} if exact else _in_float32(op)
        if quantized is None and id(op) not in linear:
            # A copy of an Embedding hangs no mask on its output (see `build_model`).
            is_kept = keep and not in_float32 and not getattr(op, "mask_zero", False)
            return op if is_kept else clone_operation(op, name, **in_float32)
        config = {**op.get_config(), "name": name, **in_float32}
        if id(op) in linear:
            config["activation"] = "linear"
        if chosen is not None and quantized is not None and issubclass(quantized, GridSettings):
            config |= quantized.settings_for(chosen, kind(op))
        return (quantized or type(op)).from_config(config)

    return replace
