"""A row for each stock layer of Keras 2, and for ways to put them together; see `convert_rows`."""

from collections.abc import Callable
from typing import Any

import numpy as np

IMAGE, SEQUENCE, VECTOR, VOLUME, IDS = (8, 8, 4), (6, 4), (5,), (4, 5, 6, 2), (6,)

# Name -> the shape of the input, and what makes the layer; `L` is tf_keras.layers.
LAYERS: dict[str, tuple[tuple[int, ...], Callable[[Any], Any]]] = {
    "Dense": (VECTOR, lambda L: L.Dense(3, "relu", kernel_regularizer="l2", kernel_constraint="max_norm")),
    "Dense, many axes": (IMAGE, lambda L: L.Dense(3)),
    "EinsumDense": (SEQUENCE, lambda L: L.EinsumDense("abc,cd->abd", (None, 3), bias_axes="d")),
    "Embedding": (IDS, lambda L: L.Embedding(9, 3, mask_zero=True)),
    "Conv1D": (SEQUENCE, lambda L: L.Conv1D(4, 3, padding="causal", dilation_rate=2)),
    "Conv2D": (IMAGE, lambda L: L.Conv2D(4, 3, strides=2, padding="same", groups=2, activation="swish")),
    "Conv3D": (VOLUME, lambda L: L.Conv3D(3, 2)),
    "Conv1DTranspose": (SEQUENCE, lambda L: L.Conv1DTranspose(3, 3, strides=2)),
    "Conv2DTranspose": (IMAGE, lambda L: L.Conv2DTranspose(3, 3, strides=2, output_padding=1)),
    "Conv3DTranspose": (VOLUME, lambda L: L.Conv3DTranspose(3, 2)),
    "DepthwiseConv1D": (SEQUENCE, lambda L: L.DepthwiseConv1D(3, depth_multiplier=2)),
    "DepthwiseConv2D": (IMAGE, lambda L: L.DepthwiseConv2D(3, depth_multiplier=2, strides=2)),
    "SeparableConv1D": (SEQUENCE, lambda L: L.SeparableConv1D(3, 3)),
    "SeparableConv2D": (IMAGE, lambda L: L.SeparableConv2D(3, 3, padding="same")),
    **{
        f"{pool}{rank}D": (
            shape,
            lambda L, pool=pool, rank=rank: getattr(L, f"{pool}{rank}D")(2, padding="same"),
        )
        for pool in ("MaxPooling", "AveragePooling")
        for rank, shape in ((1, SEQUENCE), (2, IMAGE), (3, VOLUME))
    },
    **{
        f"{pool}{rank}D": (shape, lambda L, pool=pool, rank=rank: getattr(L, f"{pool}{rank}D")(keepdims=True))
        for pool in ("GlobalMaxPooling", "GlobalAveragePooling")
        for rank, shape in ((1, SEQUENCE), (2, IMAGE), (3, VOLUME))
    },
    "BatchNormalization": (IMAGE, lambda L: L.BatchNormalization(epsilon=0.1)),
    "BatchNormalization, no scale": (IMAGE, lambda L: L.BatchNormalization(scale=False, axis=1)),
    "LayerNormalization": (SEQUENCE, lambda L: L.LayerNormalization()),
    "LayerNormalization, two axes": (SEQUENCE, lambda L: L.LayerNormalization(axis=[1, 2])),
    "GroupNormalization": (IMAGE, lambda L: L.GroupNormalization(2)),
    "UnitNormalization": (SEQUENCE, lambda L: L.UnitNormalization()),
    "SpectralNormalization": (IMAGE, lambda L: L.SpectralNormalization(L.Conv2D(3, 3))),
    "Normalization": (VECTOR, lambda L: L.Normalization(mean=2.0, variance=3.0)),
    "Normalization, adapted": (VECTOR, lambda L: _adapted(L.Normalization())),
    "Rescaling": (IMAGE, lambda L: L.Rescaling(0.5, offset=1.0)),
    "Rescaling, by channel": (IMAGE, lambda L: L.Rescaling([1.0, 2.0, 3.0, 4.0])),
    "Resizing": (IMAGE, lambda L: L.Resizing(4, 4)),
    "CenterCrop": (IMAGE, lambda L: L.CenterCrop(4, 4)),
    "CategoryEncoding": (IDS, lambda L: L.CategoryEncoding(9, output_mode="multi_hot")),
    "Discretization, adapted": (VECTOR, lambda L: _adapted(L.Discretization(num_bins=4))),
    "Discretization": (VECTOR, lambda L: L.Discretization(bin_boundaries=[-1.0, 0.0, 1.0])),
    "RandomFlip": (IMAGE, lambda L: L.RandomFlip()),
    "RandomRotation": (IMAGE, lambda L: L.RandomRotation(0.1)),
    "RandomTranslation": (IMAGE, lambda L: L.RandomTranslation(0.1, 0.1)),
    "RandomZoom": (IMAGE, lambda L: L.RandomZoom(0.1)),
    "RandomContrast": (IMAGE, lambda L: L.RandomContrast(0.1)),
    "RandomBrightness": (IMAGE, lambda L: L.RandomBrightness(0.1)),
    **{
        f"Activation, {name}": (VECTOR, lambda L, name=name: L.Activation(name))
        for name in (
            *(
                "elu",
                "exponential",
                "gelu",
                "hard_sigmoid",
                "linear",
                "mish",
                "relu",
                "selu",
                "sigmoid",
                "softmax",
            ),
            *("softplus", "softsign", "swish", "tanh"),
        )
    },
    "ReLU": (VECTOR, lambda L: L.ReLU(6.0, negative_slope=0.1)),
    "LeakyReLU": (VECTOR, lambda L: L.LeakyReLU(0.2)),
    "ELU": (VECTOR, lambda L: L.ELU(0.5)),
    "PReLU": (IMAGE, lambda L: L.PReLU("normal", shared_axes=[1, 2])),
    "Softmax": (VECTOR, lambda L: L.Softmax()),
    "ThresholdedReLU": (VECTOR, lambda L: L.ThresholdedReLU(0.3)),
    "Dropout": (VECTOR, lambda L: L.Dropout(0.3)),
    "SpatialDropout1D": (SEQUENCE, lambda L: L.SpatialDropout1D(0.3)),
    "SpatialDropout2D": (IMAGE, lambda L: L.SpatialDropout2D(0.3)),
    "SpatialDropout3D": (VOLUME, lambda L: L.SpatialDropout3D(0.3)),
    "AlphaDropout": (VECTOR, lambda L: L.AlphaDropout(0.3)),
    "GaussianDropout": (VECTOR, lambda L: L.GaussianDropout(0.3)),
    "GaussianNoise": (VECTOR, lambda L: L.GaussianNoise(0.3)),
    "ActivityRegularization": (VECTOR, lambda L: L.ActivityRegularization(0.1)),
    "Identity": (VECTOR, lambda L: L.Identity()),
    "Masking": (SEQUENCE, lambda L: L.Masking()),
    "Flatten": (IMAGE, lambda L: L.Flatten()),
    "Reshape": (IMAGE, lambda L: L.Reshape((-1, 2))),
    "Permute": (IMAGE, lambda L: L.Permute((3, 1, 2))),
    "RepeatVector": (VECTOR, lambda L: L.RepeatVector(3)),
    **{
        f"{name}{rank}D": (
            shape,
            lambda L, name=name, rank=rank: getattr(L, f"{name}{rank}D")(1 + (name[0] == "U")),
        )
        for name in ("ZeroPadding", "Cropping", "UpSampling")
        for rank, shape in ((1, SEQUENCE), (2, IMAGE), (3, VOLUME))
    },
    "ZeroPadding2D, four sides": (IMAGE, lambda L: L.ZeroPadding2D(((0, 1), (2, 3)))),
    "UpSampling2D, bilinear": (IMAGE, lambda L: L.UpSampling2D(2, interpolation="bilinear")),
    "LSTM": (SEQUENCE, lambda L: L.LSTM(3, return_sequences=True, dropout=0.1)),
    "LSTM, implementation 1": (SEQUENCE, lambda L: L.LSTM(3, implementation=1)),
    "GRU": (SEQUENCE, lambda L: L.GRU(3, go_backwards=True)),
    "GRU, reset before": (SEQUENCE, lambda L: L.GRU(3, reset_after=False)),
    "SimpleRNN": (SEQUENCE, lambda L: L.SimpleRNN(3)),
    "RNN, LSTMCell": (SEQUENCE, lambda L: L.RNN(L.LSTMCell(3))),
    "RNN, GRUCell": (SEQUENCE, lambda L: L.RNN(L.GRUCell(3))),
    "RNN, SimpleRNNCell": (SEQUENCE, lambda L: L.RNN(L.SimpleRNNCell(3), unroll=True)),
    "RNN, StackedRNNCells": (SEQUENCE, lambda L: L.RNN(L.StackedRNNCells([L.LSTMCell(3), L.LSTMCell(3)]))),
    "RNN, list of cells": (SEQUENCE, lambda L: L.RNN([L.GRUCell(3), L.GRUCell(2)])),
    "Bidirectional": (SEQUENCE, lambda L: L.Bidirectional(L.LSTM(3, return_sequences=True))),
    "Bidirectional, two layers": (
        SEQUENCE,
        lambda L: L.Bidirectional(L.GRU(3), merge_mode="sum", backward_layer=L.GRU(3, go_backwards=True)),
    ),
    "TimeDistributed": (SEQUENCE, lambda L: L.TimeDistributed(L.Dense(3))),
    "TimeDistributed, a model": (SEQUENCE, lambda L: L.TimeDistributed(_net(L))),
    "ConvLSTM1D": ((3, 6, 2), lambda L: L.ConvLSTM1D(3, 3)),
    "ConvLSTM2D": ((3, 6, 6, 2), lambda L: L.ConvLSTM2D(3, 3, padding="same", return_sequences=True)),
    "ConvLSTM3D": ((3, 4, 4, 4, 2), lambda L: L.ConvLSTM3D(3, 2)),
    "a frozen layer": (VECTOR, lambda L: L.Dense(3, trainable=False)),
    "a name with a slash": (VECTOR, lambda L: L.Dense(3, name="block/dense")),
}

# Of these a Sequential model too.
SEQUENTIAL = ("Dense", "Embedding", "DepthwiseConv2D", "ThresholdedReLU", "GRU", "TimeDistributed, a model")

# Name -> the type of the input, of shape (6,), and what makes the layer.
TYPES: dict[str, tuple[str, Callable[[Any], Any]]] = {
    "Hashing": ("int64", lambda L: L.Hashing(7)),
    "IntegerLookup": ("int64", lambda L: L.IntegerLookup(vocabulary=[1, 5])),
    "IntegerLookup, adapted": ("int64", lambda L: _adapted(L.IntegerLookup(), [3, 1, 1, 4])),
    "HashedCrossing": ("int64", lambda L: lambda x: L.HashedCrossing(5)([x[:, :1], x[:, 1:2]])),
    "TextVectorization": (
        "string",
        lambda L: lambda x: L.TextVectorization(vocabulary=["a", "b"], output_sequence_length=4)(x[:, :1]),
    ),
    "StringLookup": ("string", lambda L: L.StringLookup(vocabulary=["a", "b"])),
    "StringLookup, adapted": ("string", lambda L: _adapted(L.StringLookup(), ["a", "b", "b", "c"])),
}

# Name -> what the layer is called on: a list of tensors, or each as an argument.
MERGES: dict[str, tuple[tuple[tuple[int, ...], ...], Callable[[Any, list[Any]], Any]]] = {
    **{
        name: ((VECTOR, VECTOR), lambda L, x, name=name: getattr(L, name)()(x))
        for name in ("Add", "Subtract", "Multiply", "Average", "Maximum", "Minimum", "Concatenate")
    },
    "Dot": ((VECTOR, VECTOR), lambda L, x: L.Dot(1, normalize=True)(x)),
    "Attention": ((SEQUENCE, SEQUENCE), lambda L, x: L.Attention(use_scale=True)(x)),
    "AdditiveAttention": ((SEQUENCE, SEQUENCE), lambda L, x: L.AdditiveAttention()(x)),
    "MultiHeadAttention": (
        (SEQUENCE, SEQUENCE),
        lambda L, x: L.MultiHeadAttention(2, 3)(x[0], x[1], key=x[1]),
    ),
    "MultiHeadAttention, causal": (
        (SEQUENCE,),
        lambda L, x: L.MultiHeadAttention(2, 3)(
            x[0], x[0], use_causal_mask=True, return_attention_scores=True
        ),
    ),
    "LSTM, initial state": ((SEQUENCE, (3,), (3,)), lambda L, x: L.LSTM(3)(x[0], initial_state=x[1:])),
    "LSTM, states": ((SEQUENCE,), lambda L, x: L.LSTM(3, return_state=True)(x[0])),
    "encoder, decoder": (
        (SEQUENCE, SEQUENCE),
        lambda L, x: L.GRU(3)(x[0], initial_state=L.GRU(3, return_state=True)(x[1])[1]),
    ),
    "masked sequence": ((IDS,), lambda L, x: L.LSTM(3)(L.Embedding(9, 3, mask_zero=True)(x[0]))),
    "a shared layer": ((VECTOR, VECTOR), lambda L, x: L.Add()([*map(L.Dense(3), x)])),
    "a nested model": (
        (SEQUENCE, SEQUENCE),
        lambda L, x: L.Concatenate()([*map(_net(L), [x[0][:, 0], x[1][:, 0]])]),
    ),
    "two outputs": ((VECTOR,), lambda L, x: [L.Dense(2)(x[0]), L.Dense(3)(x[0])]),
    "outputs by name": ((VECTOR,), lambda L, x: {"b": L.Dense(2)(x[0]), "a": L.Dense(3)(x[0])}),
    "dropout that stays on": ((VECTOR,), lambda L, x: L.Dropout(0.0)(x[0], training=True)),
    "any size": (((None, None, 3),), lambda L, x: L.GlobalMaxPooling2D()(L.Conv2D(3, 3)(x[0]))),
}

# Name -> a model that cannot be converted, and what the error says.
REFUSED: dict[str, tuple[Callable[[Any, Any, Any], Any], str]] = {
    "RandomCrop": (
        lambda tf, L, x: L.RandomCrop(3, 2)(x[..., None]),
        "computes other outputs",
    ),  # it resizes
    "Lambda": (lambda tf, L, x: L.Lambda(lambda t: t * 2, name="code")(x), "'code' is a Lambda"),
    "LocallyConnected1D": (
        lambda tf, L, x: L.LocallyConnected1D(2, 3, name="code")(x),
        "has no layer for 'code'",
    ),
    **{
        name: (
            lambda tf, L, x, name=name, args=args: getattr(L, name)(*args, name="code")(x[..., None]),
            "has no layer for 'code'",
        )
        for name, args in (("LocallyConnected2D", (2, 3)), ("RandomHeight", (0.5,)), ("RandomWidth", (0.5,)))
    },
    "an unknown function": (lambda tf, L, x: tf.math.lgamma(x), "calls 'tf.math.lgamma'"),
    "a function's argument": (lambda tf, L, x: tf.cumsum(x, axis=1, reverse=True), "with reverse=True"),
    "time_major": (lambda tf, L, x: L.GRU(3, time_major=True, name="code")(x), "'time_major'"),
}


def _adapted(layer: Any, data: Any = None) -> Any:
    layer.adapt(np.random.default_rng(0).normal(2.0, 3.0, (64, 5)) if data is None else np.array(data))
    return layer


def _net(L: Any) -> Any:
    import tf_keras

    return tf_keras.Sequential([tf_keras.Input((4,)), L.Dense(3, "relu"), L.BatchNormalization(), L.Dense(2)])
