"""A row for every way in which channels flow, and the masked original that a shrunk model must equal."""

from collections.abc import Callable

import keras
import numpy as np
from keras import layers, ops

import tfopt
from tests.models import IMAGE, MODELS, trained_like
from tests.shrinking.nets_of_attention import (
    attention,
    attention_by_hand,
    attention_with_dropout,
    grouped_queries,
)


def _head(inputs, x, units: int = 3) -> keras.Model:
    if len(x.shape) > 2:
        x = layers.GlobalAveragePooling2D()(x) if len(x.shape) == 4 else layers.Flatten()(x)
    return keras.Model(inputs, layers.Dense(units)(x))


def _conv(filters: int, x, size: int = 3, **kwargs):
    return layers.Conv2D(filters, size, padding="same", **kwargs)(x)


def residual_chain():
    inputs = keras.Input(IMAGE)
    x = _conv(8, inputs)
    for _ in range(2):
        y = layers.ReLU()(layers.BatchNormalization()(_conv(12, x)))
        x = layers.Add()([x, layers.BatchNormalization()(_conv(8, y))])
    return _head(inputs, layers.ReLU()(x))


def dense_blocks():
    x = inputs = keras.Input(IMAGE)
    x = _conv(6, x)
    for _ in range(3):
        y = layers.ReLU()(layers.BatchNormalization()(x))
        x = layers.Concatenate()([x, _conv(4, y)])
    return _head(inputs, layers.ReLU()(layers.BatchNormalization()(layers.Concatenate()([x, inputs]))))


def depthwise_multiplier():
    inputs = keras.Input(IMAGE)
    x = layers.DepthwiseConv2D(3, depth_multiplier=2)(_conv(8, inputs, activation="relu"))
    x = layers.SeparableConv2D(10, 3, depth_multiplier=3, activation="relu")(layers.ReLU()(x))
    return _head(inputs, layers.SeparableConv2D(6, 3)(x))


def grouped():
    inputs = keras.Input(IMAGE)
    x = _conv(12, _conv(8, inputs), groups=4, activation="relu")
    return _head(inputs, _conv(6, x))


def grouped_depthwise():
    inputs = keras.Input(IMAGE)
    return _head(inputs, _conv(16, _conv(8, inputs), groups=8))


def norms(norm: Callable) -> Callable[[], keras.Model]:
    def build():
        inputs = keras.Input(IMAGE)
        x = layers.ReLU()(norm()(_conv(8, inputs)))
        return _head(inputs, norm()(_conv(12, x)))

    return build


def squeeze_and_excitation():
    inputs = keras.Input(IMAGE)
    x = _conv(12, inputs, activation="relu")
    gate = layers.GlobalAveragePooling2D(keepdims=True)(x)
    gate = layers.Conv2D(12, 1, activation="sigmoid")(layers.Conv2D(4, 1, activation="relu")(gate))
    x = layers.Multiply()([x, gate])
    gate = layers.Reshape((1, 1, 12))(layers.Dense(12, activation="sigmoid")(ops.mean(x, (1, 2))))
    return _head(inputs, _conv(6, x * gate))


def flatten_dense():
    inputs = keras.Input(IMAGE)
    x = layers.Flatten()(layers.MaxPooling2D()(_conv(6, inputs, activation="relu")))
    return keras.Model(inputs, layers.Dense(2)(layers.Dense(10, activation="relu")(x)))


def sigmoid_chain():
    """f(0) is not 0: a removed channel's constant must go too."""
    inputs = keras.Input(IMAGE)
    return _head(inputs, _conv(6, _conv(8, inputs, activation="sigmoid"), activation="softplus"))


def repeated_code():
    """An autoencoder of sequences: a code, repeated over time."""
    inputs = keras.Input((6, 8))
    x = layers.Dense(10, activation="tanh")(layers.GlobalMaxPooling1D()(layers.Dense(12)(inputs)))
    return keras.Model(inputs, layers.Dense(2)(layers.Dense(8)(layers.RepeatVector(5)(x))))


def quantized():
    """Quantizers have one range for a whole tensor, so that channels pass through them."""
    model = trained_like(MODELS["residual"]())
    return tfopt.quantize(model, np.random.default_rng(0).normal(size=(32, *IMAGE)).astype("float32"))


def channel_shuffle():
    inputs = keras.Input(IMAGE)
    x = ops.reshape(_conv(12, inputs), (-1, 8, 8, 2, 6))
    x = ops.reshape(ops.swapaxes(x, 3, 4), (-1, 8, 8, 12))
    return _head(inputs, _conv(6, layers.ReLU()(x)))


def split_and_slice():
    inputs = keras.Input(IMAGE)
    left, right = ops.split(_conv(16, inputs), 2, axis=-1)
    x = left * ops.sigmoid(right)
    y = _conv(12, x, activation="relu")
    return _head(inputs, layers.Concatenate()([_conv(6, y[..., :4]), y[..., 4:]]))


def partial_block():
    """C2f, CSP: the channels of one kernel part, a half meets others, and one norm is behind all of them."""
    inputs = keras.Input(IMAGE)
    x = _conv(16, inputs)
    left, right = x[..., :8], x[..., 8:]
    last = layers.Add()([right, _conv(8, right)])
    x = layers.ReLU()(layers.BatchNormalization()(layers.Concatenate()([left, right, last])))
    return _head(inputs, layers.GroupNormalization(6)(layers.Concatenate()([_conv(4, x), _conv(8, x)])))


def into_the_batch():
    """Positions become samples, as in window attention and TimeDistributed."""
    inputs = keras.Input(IMAGE)
    x = ops.reshape(_conv(12, inputs), (-1, 4, 2, 4, 2, 12))
    x = ops.reshape(ops.transpose(x, (0, 1, 3, 2, 4, 5)), (-1, 4, 12))
    x = x + layers.MultiHeadAttention(3, 4)(x, x)
    x = ops.reshape(ops.transpose(ops.reshape(x, (-1, 4, 4, 2, 2, 12)), (0, 1, 3, 2, 4, 5)), (-1, 64, 12))
    x = layers.TimeDistributed(layers.Dense(10, activation="relu"))(x)
    x = layers.Dense(8)(ops.reshape(x, (-1, 10)))
    return keras.Model(inputs, layers.Dense(3)(ops.mean(ops.reshape(x, (-1, 64, 8)), axis=1)))


def constants():
    """Channels of zeros leave f(0), what a norm without gamma makes of its mean, and borders that are averaged."""
    inputs = keras.Input(IMAGE)
    x = layers.BatchNormalization(scale=False)(_conv(8, inputs, activation="softplus"))
    x = layers.Conv2D(8, 2, use_bias=False, activation="exponential")(x)
    x = layers.DepthwiseConv2D(3, padding="same", activation="hard_sigmoid")(x)
    return _head(inputs, layers.Activation("sigmoid")(x))


def shared_layer():
    inputs = keras.Input(IMAGE)
    shared, norm = layers.Conv2D(8, 3, padding="same"), layers.BatchNormalization()
    x = _conv(8, inputs)
    for _ in range(2):
        x = layers.ReLU()(norm(shared(x)))
    return _head(inputs, _conv(4, x))


def nested_deep():
    inner = keras.Sequential([keras.Input((8, 8, 8)), layers.Conv2D(8, 3, padding="same"), layers.ReLU()])
    inputs = keras.Input(IMAGE)
    x = _conv(8, inputs)
    return _head(inputs, layers.Maximum()([inner(x), inner(layers.PReLU(shared_axes=[1, 2])(x))]))


def volume():
    inputs = keras.Input((4, 6, 6, 2))
    x = layers.Conv3D(8, 3, padding="same", activation="relu")(inputs)
    x = layers.BatchNormalization()(layers.Conv3DTranspose(6, 2, strides=2)(layers.MaxPooling3D(2)(x)))
    return keras.Model(inputs, layers.Dense(2)(layers.GlobalAveragePooling3D()(x)))


def sequence():
    inputs = keras.Input((16,), dtype="int32")
    x = layers.Embedding(20, 8)(inputs)
    x = layers.BatchNormalization()(layers.Conv1D(12, 3, padding="causal")(x))
    x = layers.Conv1DTranspose(10, 2, strides=2)(layers.UpSampling1D(2)(layers.ReLU()(x)))
    x = layers.SeparableConv1D(6, 3)(layers.DepthwiseConv1D(3)(layers.AveragePooling1D(2)(x)))
    return keras.Model(inputs, layers.Dense(2)(layers.GlobalMaxPooling1D()(x)))


def encoder_decoder():
    inputs = keras.Input(IMAGE)
    down = _conv(8, inputs, activation="relu")
    x = _conv(12, layers.MaxPooling2D()(down), activation="relu")
    x = layers.Conv2DTranspose(10, 2, strides=2, activation="relu")(x)
    x = layers.Concatenate()([layers.UpSampling2D()(layers.Cropping2D(2)(x)), down])
    return keras.Model(inputs, layers.Conv2D(2, 1)(_conv(6, layers.Subtract()([_conv(8, x), down]))))


def einsum_mixer():
    inputs = keras.Input((6, 8))
    x = layers.EinsumDense("abc,cd->abd", (6, 12), bias_axes="d", activation="relu")(inputs)
    x = layers.EinsumDense("...c,c->...c", (12,), bias_axes="c")(x)
    x = layers.Permute((2, 1))(layers.Dense(6)(layers.Permute((2, 1))(x)))
    x = layers.EinsumDense("abc,bd->adc", (5, 12))(x)
    return keras.Model(inputs, layers.Dense(2)(ops.mean(x, axis=1)))


def recurrent():
    """Hidden units, step by step: each has a column in every gate, and a row of the recurrent kernel."""
    inputs = keras.Input((6, 8))
    x = layers.GRU(9, return_sequences=True)(layers.Dense(16)(inputs))
    x = layers.Bidirectional(layers.LSTM(8, return_sequences=True))(x)
    x = layers.Bidirectional(layers.GRU(6, return_sequences=True, reset_after=False), merge_mode="sum")(x)
    x, *states = layers.LSTM(8, return_sequences=True, return_state=True)(x)
    x = layers.LSTM(8, return_sequences=True)(x, initial_state=states)
    return keras.Model(inputs, layers.Dense(2)(layers.SimpleRNN(7)(x)))


def not_followed():
    """What has no rule: the channels that a loop of cells reads stay."""
    inputs = keras.Input((6, 8))
    x = layers.Dense(12, activation="relu")(layers.Dense(16)(inputs))
    return keras.Model(inputs, layers.Dense(2)(layers.RNN(layers.LSTMCell(4))(x)))


def blocks():
    """Pixel shuffles in both orders, tensors stacked and taken apart, norms that are operations."""
    inputs = keras.Input(IMAGE)
    x = ops.reshape(ops.normalize(_conv(16, inputs)), (-1, 8, 8, 4, 2, 2))
    x = ops.reshape(ops.transpose(x, (0, 1, 4, 2, 5, 3)), (-1, 16, 16, 4))
    x = ops.depth_to_space(_conv(16, x, activation="relu"), 2)
    x = layers.UnitNormalization()(_conv(6, ops.space_to_depth(x, 4)))
    upper, lower = ops.unstack(ops.stack([x, _conv(6, x)], axis=1), axis=1)
    x = ops.where(upper > 0.0, upper, ops.pad(ops.flip(lower, 1), ((0, 0), (0, 0), (0, 0), (0, 0))))
    return _head(inputs, x / (1.0 + ops.norm(x, axis=(1, 2), keepdims=True)))


CASES: dict[str, Callable[[], keras.Model]] = {
    **{f"table_{name}": build for name, build in MODELS.items() if name != "several_outputs"},
    "residual_chain": residual_chain,
    "dense_blocks": dense_blocks,
    "depthwise_multiplier": depthwise_multiplier,
    "grouped": grouped,
    "grouped_depthwise": grouped_depthwise,
    "batch_norm": norms(layers.BatchNormalization),
    "batch_norm_bare": norms(lambda: layers.BatchNormalization(scale=False, center=False)),
    "layer_norm": norms(layers.LayerNormalization),
    "group_norm": norms(lambda: layers.GroupNormalization(4)),
    "instance_norm": norms(lambda: layers.GroupNormalization(-1)),
    "rms_norm": norms(layers.RMSNormalization),
    "squeeze_and_excitation": squeeze_and_excitation,
    "flatten_dense": flatten_dense,
    "sigmoid_chain": sigmoid_chain,
    "attention": attention,
    "attention_with_dropout": attention_with_dropout,
    "repeated_code": repeated_code,
    "quantized": quantized,
    "grouped_queries": grouped_queries,
    "attention_by_hand": attention_by_hand,
    "channel_shuffle": channel_shuffle,
    "split_and_slice": split_and_slice,
    "partial_block": partial_block,
    "into_the_batch": into_the_batch,
    "constants": constants,
    "shared_layer": shared_layer,
    "nested_deep": nested_deep,
    "volume": volume,
    "sequence": sequence,
    "encoder_decoder": encoder_decoder,
    "einsum_mixer": einsum_mixer,
    "recurrent": recurrent,
    "not_followed": not_followed,
    "blocks": blocks,
}


def wide(units: int = 64) -> keras.Model:
    inputs = keras.Input((8, 8, 3))
    x = layers.Conv2D(units, 3, padding="same", use_bias=False, name="first")(inputs)
    x = layers.ReLU()(layers.BatchNormalization(name="norm")(x))
    x = layers.Conv2D(2 * units, 3, strides=2, activation="relu", name="second")(x)
    x = layers.Dense(10, name="head")(layers.GlobalAveragePooling2D()(x))
    return keras.Model(inputs, x, name="wide")


def make(name: str) -> keras.Model:
    return trained_like(CASES[name]())


def inputs_for(model: keras.Model, count: int = 4):
    rng = np.random.default_rng(1)
    tensors = model.inputs if getattr(model, "inputs", None) else [keras.Input(IMAGE)]
    arrays = [
        rng.integers(0, 20, (count, *t.shape[1:])).astype("int32")
        if "int" in t.dtype
        else rng.normal(size=(count, *t.shape[1:])).astype("float32")
        for t in tensors
    ]
    return arrays if len(arrays) > 1 else arrays[0]
