"""Recurrent layers: a row for each form that quantization opens."""

from collections.abc import Callable
from typing import Any

from keras import layers


def _decoder(x: Any) -> Any:
    """An encoder's states begin a decoder."""
    first, *states = layers.LSTM(3, return_state=True)(x)
    return layers.LSTM(3)(layers.Concatenate()([x, x]), initial_state=states) + first


# Recurrent layers: LSTMs that are the fused operator, and all that comes apart into steps.
RECURRENT: dict[str, tuple[Callable, tuple[int, ...]]] = {
    "LSTM, backwards, without bias": (layers.LSTM(3, go_backwards=True, use_bias=False), (4, 3)),
    "LSTM, stacked, with dropout": (
        lambda x: layers.LSTM(2)(layers.LSTM(3, return_sequences=True, dropout=0.2)(x)),
        (4, 3),
    ),
    "LSTM, hard_sigmoid": (layers.LSTM(2, recurrent_activation="hard_sigmoid", go_backwards=True), (3, 3)),
    "LSTM, states": (_decoder, (2, 3)),
    "Bidirectional, concat": (layers.Bidirectional(layers.LSTM(3, return_sequences=True)), (4, 3)),
    "Bidirectional, ave": (layers.Bidirectional(layers.LSTM(3), merge_mode="ave"), (4, 3)),
    "Bidirectional, GRU": (layers.Bidirectional(layers.GRU(2, return_sequences=True)), (3, 3)),
    "GRU": (layers.GRU(3), (3, 3)),
    "GRU, reset before": (layers.GRU(3, reset_after=False, return_sequences=True), (3, 3)),
    "SimpleRNN": (layers.SimpleRNN(3, return_sequences=True), (3, 3)),
    "SimpleRNN, relu": (layers.SimpleRNN(3, activation="relu"), (3, 3)),
    "ConvLSTM1D": (layers.ConvLSTM1D(2, 3, padding="same", return_sequences=True), (3, 4, 2)),
    "ConvLSTM2D, dilated, backwards": (
        layers.ConvLSTM2D(2, 2, dilation_rate=2, recurrent_activation="hard_sigmoid", go_backwards=True),
        (2, 5, 4, 2),
    ),
    "ConvLSTM3D, without bias": (layers.ConvLSTM3D(2, 2, strides=2, use_bias=False), (2, 4, 4, 4, 1)),
    "RNN, stacked cells": (layers.RNN([layers.GRUCell(2), layers.LSTMCell(3)]), (3, 3)),
}
