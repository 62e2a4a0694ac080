"""A tiny Keras 2 model for each stock layer and for the functions between layers; run as a program of its own.

`python -m tests.legacy.layer_rows` prints as JSON, for each row, how far the converted model is off, or the error.
"""

import json
import warnings
from collections.abc import Callable
from typing import Any

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
        f"{pool}{rank}D": (shape, lambda L, pool=pool, rank=rank: getattr(L, f"{pool}{rank}D")(2, padding="same"))
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
            *("elu", "exponential", "gelu", "hard_sigmoid", "linear", "mish", "relu", "selu", "sigmoid", "softmax"),
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
        f"{name}{rank}D": (shape, lambda L, name=name, rank=rank: getattr(L, f"{name}{rank}D")(1 + (name[0] == "U")))
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

# Name -> what the layer is called on: a list of tensors, or each as an argument.
MERGES: dict[str, tuple[tuple[tuple[int, ...], ...], Callable[[Any, list[Any]], Any]]] = {
    **{
        name: ((VECTOR, VECTOR), lambda L, x, name=name: getattr(L, name)()(x))
        for name in ("Add", "Subtract", "Multiply", "Average", "Maximum", "Minimum", "Concatenate")
    },
    "Dot": ((VECTOR, VECTOR), lambda L, x: L.Dot(1, normalize=True)(x)),
    "Attention": ((SEQUENCE, SEQUENCE), lambda L, x: L.Attention(use_scale=True)(x)),
    "AdditiveAttention": ((SEQUENCE, SEQUENCE), lambda L, x: L.AdditiveAttention()(x)),
    "MultiHeadAttention": ((SEQUENCE, SEQUENCE), lambda L, x: L.MultiHeadAttention(2, 3)(x[0], x[1], key=x[1])),
    "MultiHeadAttention, causal": (
        (SEQUENCE,),
        lambda L, x: L.MultiHeadAttention(2, 3)(x[0], x[0], use_causal_mask=True, return_attention_scores=True),
    ),
    "LSTM, initial state": ((SEQUENCE, (3,), (3,)), lambda L, x: L.LSTM(3)(x[0], initial_state=x[1:])),
    "LSTM, states": ((SEQUENCE,), lambda L, x: L.LSTM(3, return_state=True)(x[0])),
    "encoder, decoder": (
        (SEQUENCE, SEQUENCE),
        lambda L, x: L.GRU(3)(x[0], initial_state=L.GRU(3, return_state=True)(x[1])[1]),
    ),
    "masked sequence": ((IDS,), lambda L, x: L.LSTM(3)(L.Embedding(9, 3, mask_zero=True)(x[0]))),
    "a shared layer": ((VECTOR, VECTOR), lambda L, x: L.Add()([*map(L.Dense(3), x)])),
    "a nested model": ((SEQUENCE, SEQUENCE), lambda L, x: L.Concatenate()([*map(_net(L), [x[0][:, 0], x[1][:, 0]])])),
    "two outputs": ((VECTOR,), lambda L, x: [L.Dense(2)(x[0]), L.Dense(3)(x[0])]),
    "outputs by name": ((VECTOR,), lambda L, x: {"b": L.Dense(2)(x[0]), "a": L.Dense(3)(x[0])}),
    "dropout that stays on": ((VECTOR,), lambda L, x: L.Dropout(0.0)(x[0], training=True)),
    "any size": (((None, None, 3),), lambda L, x: L.GlobalMaxPooling2D()(L.Conv2D(3, 3)(x[0]))),
}

# TensorFlow functions between layers, of two tensors (6, 4).
FUNCTIONS: dict[str, Callable[[Any, Any, Any], Any]] = {
    "x + 1": lambda tf, x, y: x + 1,
    "1 - x": lambda tf, x, y: 1 - x,
    "x * y": lambda tf, x, y: x * y,
    "x / 2": lambda tf, x, y: x / 2,
    "x // 2": lambda tf, x, y: x // 2,
    "x % 2": lambda tf, x, y: x % 2.0,
    "-x ** 2": lambda tf, x, y: -(x**2),
    "abs": lambda tf, x, y: abs(x),
    "x > y": lambda tf, x, y: tf.where(x > y, x, y),
    "x == y": lambda tf, x, y: tf.cast((x == y) | (x != y), "float32"),
    "x @ y": lambda tf, x, y: tf.matmul(x, y, transpose_b=True),
    "array * x": lambda tf, x, y: tf.constant([1.0, 2.0, 3.0, 4.0]) * x,
    "slices": lambda tf, x, y: x[:, 1:-1:2, ..., None],
    "x[..., 0]": lambda tf, x, y: x[..., 0],
    **{
        f"tf.{name}": lambda tf, x, y, name=name: _of(tf, name)(x)
        for name in (
            *("nn.relu", "nn.relu6", "nn.elu", "nn.selu", "nn.silu", "nn.softsign", "nn.gelu", "nn.leaky_relu"),
            *("nn.softmax", "nn.log_softmax", "sigmoid", "tanh", "math.softplus", "exp", "square", "sign", "round"),
            *("floor", "math.ceil", "sin", "cos", "math.erf", "identity", "stop_gradient", "zeros_like"),
            *("ones_like", "reduce_mean", "math.reciprocal"),
        )
    },
    **{
        f"tf.{name} of positive": lambda tf, x, y, name=name: _of(tf, name)(tf.abs(x) + 1.0)
        for name in ("sqrt", "math.log", "math.rsqrt", "math.log1p")
    },
    **{
        f"tf.{name} over an axis": lambda tf, x, y, name=name: _of(tf, name)(x, axis=1)
        for name in (
            *("reduce_sum", "reduce_max", "reduce_min", "reduce_prod", "math.reduce_std", "math.reduce_variance"),
            *("argmax", "cumsum", "math.l2_normalize", "expand_dims"),
        )
    },
    "tf.clip_by_value": lambda tf, x, y: tf.clip_by_value(x, -1.0, 1.0),
    "tf.maximum": lambda tf, x, y: tf.maximum(x, tf.minimum(y, 0.1)),
    "tf.math.squared_difference": lambda tf, x, y: tf.math.squared_difference(x, y),
    "tf.concat": lambda tf, x, y: tf.concat([x, y], axis=-1),
    "tf.stack": lambda tf, x, y: tf.stack([x, y], axis=1),
    "tf.split": lambda tf, x, y: tf.split(x, 2, axis=1),
    "tf.split, sizes": lambda tf, x, y: tf.split(x, [1, 3, 2], axis=1),
    "tf.unstack": lambda tf, x, y: tf.unstack(x, axis=1),
    "tf.reshape": lambda tf, x, y: tf.reshape(x, (-1, 8, 3)),
    "tf.reshape, tf.shape": lambda tf, x, y: tf.reshape(x, (tf.shape(x)[0], 24)),
    "tf.transpose": lambda tf, x, y: tf.transpose(x, (0, 2, 1)),
    "tf.squeeze": lambda tf, x, y: tf.squeeze(x[:, :1], axis=1),
    "tf.tile": lambda tf, x, y: tf.tile(x, (1, 2, 1)),
    "tf.repeat": lambda tf, x, y: tf.repeat(x, 2, axis=1),
    "tf.pad": lambda tf, x, y: tf.pad(x, [[0, 0], [1, 2], [0, 0]], constant_values=3.0),
    "tf.pad, reflect": lambda tf, x, y: tf.pad(x, [[0, 0], [1, 2], [0, 0]], mode="REFLECT"),
    "tf.gather": lambda tf, x, y: tf.gather(x, [2, 0], axis=1),
    "tf.nn.bias_add": lambda tf, x, y: tf.nn.bias_add(x, [1.0, 2.0, 3.0, 4.0]),
}

# Name -> a model that cannot be converted, and what the error says.
REFUSED: dict[str, tuple[Callable[[Any, Any, Any], Any], str]] = {
    "RandomCrop": (lambda tf, L, x: L.RandomCrop(3, 2)(x[..., None]), "computes something else"),  # it resizes
    "Lambda": (lambda tf, L, x: L.Lambda(lambda t: t * 2, name="code")(x), "'code' is a Lambda"),
    "LocallyConnected1D": (lambda tf, L, x: L.LocallyConnected1D(2, 3, name="code")(x), "has no layer for 'code'"),
    "an unknown function": (lambda tf, L, x: tf.math.lgamma(x), "calls 'tf.math.lgamma'"),
    "a function's argument": (lambda tf, L, x: tf.cumsum(x, axis=1, reverse=True), "with reverse=True"),
    "time_major": (lambda tf, L, x: L.GRU(3, time_major=True, name="code")(x), "'time_major'"),
}


def _of(tf: Any, name: str) -> Any:
    for part in name.split("."):
        tf = getattr(tf, part)
    return tf


def _adapted(layer: Any) -> Any:
    import numpy as np

    layer.adapt(np.random.default_rng(0).normal(2.0, 3.0, (64, 5)))
    return layer


def _net(L: Any) -> Any:
    import tf_keras

    return tf_keras.Sequential([tf_keras.Input((4,)), L.Dense(3, "relu"), L.BatchNormalization(), L.Dense(2)])


def _models() -> dict[str, Callable[[], Any]]:
    """What makes each model; a row that fails must not stop the others."""
    import tensorflow as tf
    import tf_keras

    L = tf_keras.layers
    rows: dict[str, Callable[[], Any]] = {}

    def model(shapes: Any, build: Callable[[list[Any]], Any]) -> Any:
        inputs = [tf_keras.Input(shape) for shape in shapes]
        return tf_keras.Model(inputs[0] if len(inputs) == 1 else inputs, build(inputs))

    for name, (shape, build) in LAYERS.items():
        rows[name] = lambda shape=shape, build=build: model([shape], lambda x: build(L)(x[0]))
        rows[f"{name} in Sequential"] = lambda shape=shape, build=build: tf_keras.Sequential(
            [tf_keras.Input(shape), build(L)]
        )
    for name, (shapes, merge) in MERGES.items():
        rows[name] = lambda shapes=shapes, merge=merge: model(shapes, lambda x: merge(L, x))
    for name, function in FUNCTIONS.items():
        rows[name] = lambda function=function: model([SEQUENCE, SEQUENCE], lambda x: function(tf, x[0] + x[1], x[1]))
    for name, (build, _) in REFUSED.items():
        rows[f"refused {name}"] = lambda build=build: model([SEQUENCE], lambda x: build(tf, L, x[0]))
    return rows


def randomize(model: Any) -> None:
    """Weights that are not what they are at the start, and no variances below 0."""
    import numpy as np

    rng = np.random.default_rng(1)
    for weight in model.weights:
        if "float" in weight.dtype.name:
            weight.assign(rng.uniform(0.2, 0.8, weight.shape))


def main() -> None:
    warnings.simplefilter("ignore")
    from tfopt.legacy._compare import compare
    from tfopt.legacy._from_keras2 import from_keras2

    results = {}
    for name, make in _models().items():
        try:
            model = make()
            if "Normalization, adapted" not in name:
                randomize(model)
            results[name] = compare(model, from_keras2(model))
        except Exception as error:
            results[name] = f"{type(error).__name__}: {error}"
    print(json.dumps(results))


if __name__ == "__main__":
    main()
