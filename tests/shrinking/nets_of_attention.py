"""Networks of attention for the table of `tests/shrinking/nets.py`."""

import keras
from keras import layers, ops


def attention():
    inputs = keras.Input((6, 8))
    x = layers.Dense(16)(inputs)
    x = x + layers.MultiHeadAttention(4, 3)(x, x)
    x = layers.LayerNormalization()(x)
    x = x + layers.Dense(16)(layers.Dense(20, activation="gelu")(x))
    return keras.Model(
        inputs, layers.Dense(2)(layers.GlobalAveragePooling1D()(layers.LayerNormalization()(x)))
    )


def attention_with_dropout():
    """Opens into einsum and softmax instead of one attention operation; here across two sequences, with a mask."""
    inputs, memory = keras.Input((6, 8)), keras.Input((4, 8))
    x, y = layers.Dense(12)(inputs), layers.Dense(10)(memory)
    x = layers.MultiHeadAttention(4, 3, value_dim=2, dropout=0.1)(x, y)
    x = layers.MultiHeadAttention(4, 3, dropout=0.1)(x, x, use_causal_mask=True)
    return keras.Model([inputs, memory], layers.Dense(2)(layers.GlobalAveragePooling1D()(x)))


def grouped_queries():
    inputs = keras.Input((6, 8))
    x = layers.GroupQueryAttention(4, 8, 4)(inputs, inputs)
    return keras.Model(inputs, layers.Dense(2)(ops.mean(layers.Dense(12)(x), axis=1)))


def attention_by_hand():
    """One projection for queries, keys and values, split by reshape, as vision transformers are often written."""
    inputs = keras.Input((6, 8))
    x = layers.Dense(16)(inputs)
    qkv = ops.transpose(ops.reshape(layers.Dense(3 * 16)(x), (-1, 6, 3, 4, 4)), (2, 0, 3, 1, 4))
    weights = ops.softmax(ops.matmul(qkv[0], ops.transpose(qkv[1], (0, 1, 3, 2))) * 0.5, axis=-1)
    y = ops.reshape(ops.transpose(ops.matmul(weights, qkv[2]), (0, 2, 1, 3)), (-1, 6, 16))
    x = layers.RMSNormalization()(x + layers.Dense(16)(y))
    return keras.Model(inputs, layers.Dense(2)(ops.mean(x, axis=1)))
