"""Formats: how a float model's file stores its weights, and which format goes with which model."""

import contextlib
import io
from collections.abc import Callable
from typing import Any

import keras

from tfopt._quiet import quiet
from tfopt.graph import flatten_layers
from tfopt.kernels import ConstantFakeQuantize, IntegerActivations, activation_bits

# What a model that `quantize` returned is written in; and a float one, but for the formats below.
INTEGER = ("int8", "int16")
FLOAT = "float32"


def _float16(converter: Any) -> None:
    import tensorflow as tf

    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    converter.target_spec.supported_types = [tf.float16]


def _dynamic(converter: Any) -> None:
    import tensorflow as tf

    converter.optimizations = [tf.lite.Optimize.DEFAULT]


# Format of a float model -> how the converter makes it. A new one adds a row.
CONVERTED: dict[str, Callable[[Any], None]] = {
    FLOAT: lambda _: None,
    "float16": _float16,
    "dynamic": _dynamic,
}

# Format of a float model -> the recipe of AI Edge Quantizer that makes it of a float32 file.
STORED = {"weights_int8": "weight_only_wi8_afp32", "weights_int4": "weight_only_wi4_afp32"}


def kept_format(model: keras.Model) -> str:
    """The format that a model computes in: `"int8"` or `"int16"` if it is quantized, else `"float32"`."""
    layers = flatten_layers(model)
    if not any(isinstance(layer, (IntegerActivations, ConstantFakeQuantize)) for layer in layers):
        return FLOAT
    return f"int{activation_bits(layers)}"


def check_format(format: str | None, kept: str, sparse: bool = False) -> str:
    """The format to write, if the model can be written in it.

    Args:
        format: what the user asks for; None for the model's own.
        kept: what `kept_format` returned.
        sparse: whether kernels are to be stored sparsely.

    Raises:
        ValueError: the format is unknown, or does not fit the model.

    >>> check_format(None, "int8"), check_format("float16", "float32")
    ('int8', 'float16')
    """
    known = (*CONVERTED, *STORED, *INTEGER)
    if format is not None and format not in known:
        raise ValueError(
            f"The 'format' argument must be one of {', '.join(map(repr, known))}. Got {format!r} instead. Leave it "
            "out for int8 of a quantized model and float32 of any other."
        )
    if kept in INTEGER and format not in (None, kept):
        raise ValueError(
            f"The 'format' argument must be {kept!r} or left out for a model that was quantized so. Got {format!r} "
            "instead. Export the float model that it was made from, or quantize with other bits."
        )
    if kept == FLOAT and format in INTEGER:
        raise ValueError(
            f"The 'format' argument {format!r} needs samples to find ranges from. Got a float model and none. Call "
            f"tfopt.export(model, path, format={format!r}, calibration=samples), or pass what tfopt.quantize returned."
        )
    format = format or kept
    if sparse and format not in (FLOAT, *INTEGER):
        raise ValueError(
            f"The 'sparse' argument must be False for the format {format!r}. Got True. LiteRT reads sparse kernels of "
            "float32 and int8 alone: export in one of these, or leave sparse out."
        )
    return format


def store_in_format(content: bytes, format: str) -> bytes:
    """A float32 file with its weights in the format's bits; other formats as they came.

    Raises:
        ImportError: AI Edge Quantizer is not installed.
        RuntimeError: it refuses the file.
    """
    if format not in STORED:
        return content
    try:
        # It prints while it is imported and while it works.
        with quiet(1, 2), contextlib.redirect_stdout(io.StringIO()):
            from ai_edge_quantizer import quantizer, recipe
    except ImportError as error:
        raise ImportError(
            f"The format {format!r} needs AI Edge Quantizer ({error}). Install it with: pip install 'tfopt[formats]'"
        ) from error
    try:
        with quiet(1, 2), contextlib.redirect_stdout(io.StringIO()):
            made = quantizer.Quantizer(bytearray(content), getattr(recipe, STORED[format])()).quantize()
    except Exception as error:  # why all: it raises what its parts raise
        raise RuntimeError(
            f"AI Edge Quantizer refused the file: {type(error).__name__}: {error}. Try format='dynamic' or 'float16'."
        ) from error
    return bytes(made.quantized_model)
