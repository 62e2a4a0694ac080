"""The rows of the tables of cases: which are quick, and models of one or of many."""

import functools
import math
from collections.abc import Callable, Collection, Iterable, Sequence
from typing import Any

import keras
import pytest
from keras import layers, ops

from tests.conversion.cases import CASES, ISLANDS
from tests.conversion.forms import FORMS
from tests.conversion.masked import MASKED_RECURRENT
from tests.conversion.recurrent import RECURRENT

# Checked by default; the others are marked slow.
QUICK = """
    Add AveragePooling2D BatchNormalization Concatenate Conv1D Conv2D Conv2DTranspose Dense DepthwiseConv2D LSTM
    DotProductAttention EinsumDense Embedding GlobalAveragePooling2D MaxPooling2D Mean Multiply Normalization PReLU
    Reshape SeparableConv2D Subtract Transpose ZeroPadding2D gelu hard_silu leaky_relu relu relu6 sigmoid silu softmax
    tanh
"""


QUICK_ROWS = QUICK.split()
# What is nothing but fused LSTMs, which TFLite Micro has for 16-bit activations too.
FUSED_ROWS = {
    *("LSTM", "LSTM, backwards, without bias", "LSTM, stacked, with dropout"),
    *("Bidirectional, concat", "Bidirectional, ave"),
}
# With 16-bit activations these stay float, on TFLite Micro all but the fused ones.
RECURRENT_ROWS = {"LSTM", "GRU", "SimpleRNN", "Bidirectional", *RECURRENT, *MASKED_RECURRENT}
SLOW_ROWS = [name for name in (*CASES, *FORMS) if name not in QUICK_ROWS]
# The rows that make one model: with more of them, compressed files have more buffers than TFLite Micro takes.
GROUPS = [
    tuple(rows[first : first + 20]) for rows in (QUICK_ROWS, SLOW_ROWS) for first in range(0, len(rows), 20)
]


def quick(names: Iterable[str], which: Collection[str]) -> list:
    """The names, all but some marked slow."""
    return [name if name in which else pytest.param(name, marks=pytest.mark.slow) for name in names]


def by_row(measure: Callable[[tuple[str, ...]], Sequence]) -> Callable[[str], Any]:
    """From the name of a row to what `measure` finds of it; it is called once for the rows of a group."""

    @functools.cache
    def measured(names: tuple[str, ...]) -> dict[str, Any] | Exception:
        try:
            return dict(zip(names, measure(names), strict=True))
        except Exception as error:  # kept, for each row would convert the group again, only to fail
            return error

    def of_row(name: str) -> Any:
        found = measured(next(names for names in GROUPS if name in names))
        if isinstance(found, Exception):
            raise found
        return found[name]

    return of_row


def build(name: str, shape: tuple[int, ...] | None = None) -> keras.Model:
    """The row's operation with a dense layer behind it, so that its output is read by an int8 kernel."""
    apply, default = {**FORMS, **ISLANDS, **CASES}[name]
    if isinstance(apply, keras.layers.Layer):
        apply = type(apply).from_config({**apply.get_config(), "name": None})
    inputs = keras.Input(shape or default)
    x = apply(inputs)
    # Not the layer, which warns of masks that it does not hand on.
    return keras.Model(inputs, layers.Dense(3)(ops.reshape(x, (-1, math.prod(x.shape[1:])))))


def side_by_side(names: Sequence[str]) -> keras.Model:
    """The models of several rows as one of many inputs and outputs, which is converted once."""
    models = [build(name) for name in names]
    if len(models) == 1:
        return models[0]
    return keras.Model([model.inputs[0] for model in models], [model.outputs[0] for model in models])
