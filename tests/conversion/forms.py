"""Rows that apply an operation of `cases` to several inputs, or in another form; one row of each is there."""

from collections.abc import Callable

import keras
import numpy as np
from keras import layers, ops

from tests.conversion.masked import MASKED, MASKED_RECURRENT
from tests.conversion.parts import KERNEL, DropPath, after_dense, of_positive
from tests.conversion.recurrent import RECURRENT

# A mask as people add it to scores, for each of three windows.
FAR_BELOW = np.where(np.arange(12).reshape(3, 1, 4) % 3, 0.0, -100.0).astype("float32")

FORMS: dict[str, tuple[Callable, tuple[int, ...]]] = {
    "Cast of booleans": (lambda x: x * ops.cast(x > 0.1, "float32"), (5, 4)),
    "Unstack, five axes": (
        lambda x: ops.add(*ops.unstack(ops.transpose(x, (2, 0, 1, 3, 4)), axis=0)[:2]),
        (2, 3, 2, 2),
    ),
    "GetItem, five axes": (lambda x: ops.transpose(x, (2, 0, 1, 3, 4))[1] * 0.5, (2, 3, 2, 2)),
    "Conv3D, dilated": (layers.Conv3D(3, 2, dilation_rate=2, use_bias=False), (4, 5, 4, 2)),
    "Conv3DTranspose, one stride": (layers.Conv3DTranspose(3, 2, use_bias=False), (3, 3, 3, 2)),
    "Conv3DTranspose, strides": (
        layers.Conv3DTranspose(2, (2, 3, 1), strides=(3, 2, 1), output_padding=(0, 1, 0), activation="relu6"),
        (3, 3, 4, 2),
    ),
    "Conv2DTranspose without a bias": (
        layers.Conv2DTranspose(4, 3, strides=2, use_bias=False, activation="relu"),
        (3, 3, 2),
    ),
    "two dilated convolutions of one tensor": (
        lambda x: layers.Multiply()([layers.Conv1D(3, 2, dilation_rate=2)(x) for _ in range(2)]),
        (6, 2),
    ),
    "Power of three": (after_dense(lambda x: ops.power(x, 3)), (6,)),
    "Dense of one feature": (layers.Dense(3, activation="relu"), (5, 1)),
    "EinsumDense, two axes summed over": (
        layers.EinsumDense("abde,dec->abc", (5, 5), bias_axes="c"),
        (5, 2, 3),
    ),
    "EinsumDense, ellipsis": (layers.EinsumDense("...x,xy->...y", 3, bias_axes="y"), (2, 5, 4)),
    "GroupQueryAttention": (lambda x: layers.GroupQueryAttention(3, 4, 2)(x, x), (5, 6)),
    "MultiHeadAttention with dropout": (lambda x: layers.MultiHeadAttention(2, 3, dropout=0.1)(x, x), (5, 6)),
    "a custom dropout": (lambda x: DropPath()(x), (5, 4)),
    **RECURRENT,
    **MASKED_RECURRENT,
    **MASKED,
    "TimeDistributed": (layers.TimeDistributed(layers.Conv1D(3, 2)), (3, 5, 4)),
    "Maximum of a constant": (after_dense(lambda x: ops.maximum(x, 0.3)), (6,)),
    "a constant minus x": (lambda x: 1.5 - x, (5, 4)),
    "a constant over x": (of_positive(lambda x: 1.5 / x), (5, 4)),
    "Add of a table": (lambda x: x + np.linspace(-0.3, 2.0, 20, dtype="float32").reshape(5, 4), (5, 4)),
    # On a batch of 1, `keras.ops.add` takes the second for a bias.
    "Add of a column": (lambda x: x + ops.sum(x, axis=-1, keepdims=True), (5, 5)),
    "Add of two columns": (lambda x: ops.max(x, axis=-1, keepdims=True) + x[..., :1], (5, 4)),
    "Cumsum of the last axis": (lambda x: ops.cumsum(x, axis=-1), (5, 4)),
    "Logsumexp of several axes": (lambda x: ops.logsumexp(x, axis=(1, 2), keepdims=True), (3, 5, 4)),
    "Multiply with a table": (lambda x: x * np.linspace(-1, 2.0, 20, dtype="float32").reshape(5, 4), (5, 4)),
    "Matmul with a table": (after_dense(lambda x: ops.matmul(x, KERNEL[0, 0])), (5, 4)),
    "Einsum with a table": (after_dense(lambda x: ops.einsum("abc,cd->abd", x, KERNEL[0, 0])), (5, 4)),
    "Multiply with itself": (lambda x: x * x, (5, 4)),
    "Square of a Conv1D": (lambda x: ops.square(layers.Conv1D(4, 3)(x)), (6, 3)),
    "Square of a Flatten": (lambda x: ops.square(layers.Flatten()(layers.Conv1D(4, 3)(x))), (6, 3)),
    "Add of three": (lambda x: layers.Add()([x, layers.Dense(4)(x), layers.Dense(4)(x)]), (4,)),
    "gelu by tanh": (after_dense(lambda x: keras.activations.gelu(x, approximate=True)), (6,)),
    "relu beside its input": (after_dense(lambda x: layers.Concatenate()([x, ops.relu(x)])), (6,)),
    "LayerNormalization, channels first": (layers.LayerNormalization(axis=1, center=False), (6, 3, 4)),
    "LayerNormalization, two axes": (layers.LayerNormalization(axis=(1, 3), epsilon=0.1), (4, 3, 5)),
    "LayerNormalization, five axes": (layers.LayerNormalization(), (2, 2, 3, 8)),
    "LayerNormalization, plain": (layers.LayerNormalization(center=False, scale=False), (8,)),
    "GroupNormalization, channels first": (layers.GroupNormalization(-1, axis=1), (4, 3, 5)),
    "Norm of matrices": (lambda x: ops.norm(x, axis=(1, 2), keepdims=True), (3, 4, 2)),
    "softmax of a causal attention": (
        lambda x: layers.MultiHeadAttention(2, 3)(x, x, use_causal_mask=True),
        (5, 6),
    ),
    "Attention, causal": (lambda x: layers.Attention()([x, x], use_causal_mask=True), (5, 6)),
    "Transpose of windows": (
        lambda x: ops.transpose(ops.reshape(x, (-1, 2, 2, 2, 3, 2)), (0, 1, 3, 2, 4, 5)),
        (4, 6, 2),
    ),
    "softmax of a mask that is added": (
        lambda x: ops.softmax(ops.reshape(ops.reshape(x, (-1, 3, 2, 4)) + FAR_BELOW, (-1, 6, 4))),
        (6, 4),
    ),
    "softmax of masks that are computed": (
        # Reshaped here, for the layer leaves its mask on what it returns.
        lambda x: ops.reshape(
            layers.Softmax()(
                x, mask=ops.not_equal(ops.argmax(x, -1, keepdims=True), np.arange(5, dtype="int32"))
            ),
            (-1, 20),
        ),
        (4, 5),
    ),
    "softmax over another axis": (lambda x: ops.softmax(x, axis=1), (5, 4)),
    "UpSampling2D, nearest": (layers.UpSampling2D(2), (4, 4, 3)),
    "Pad, reflecting": (lambda x: ops.pad(x, ((0, 0), (1, 1), (0, 0)), mode="reflect"), (5, 3)),
}
