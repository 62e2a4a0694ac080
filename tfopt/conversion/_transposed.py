"""Transposed convolutions with a ReLU: the converter makes integers of the two only with a bias between them."""

import numpy as np
from keras import layers

from tfopt.graph import Expansion, Node, activation_name, kind
from tfopt.kernels import RELUS

# Code 0 on every grid of a bias, whose step is a product of two steps, and yet no zero in float32.
_NEXT_TO_NOTHING = 1e-30


def keep_bias(node: Node) -> Expansion | None:
    """A bias next to nothing in place of none, or of one of zeros, which the converter takes for none.

    Of TRANSPOSE_CONV, ADD and RELU it makes one integer operator; of TRANSPOSE_CONV and RELU alone, in TensorFlow 2.21,
    two that compute in float.

    >>> import keras
    >>> from tfopt.graph import capture
    >>> x = keras.Input((4, 4, 1))
    >>> (node,) = capture(keras.Model(x, layers.Conv2DTranspose(2, 3, activation="relu")(x))).nodes
    >>> (kept,), _ = keep_bias(node)
    >>> kept.op.bias.numpy().tolist()
    [1.0000000031710769e-30, 1.0000000031710769e-30]
    """
    if node.opaque or kind(node.op) != "Conv2DTranspose" or activation_name(node.op) not in RELUS:
        return None
    kernel, *bias = node.op.get_weights()
    if any(np.any(one) for one in bias):
        return None
    layer = layers.Conv2DTranspose.from_config({**node.op.get_config(), "use_bias": True})
    layer.build_from_config(node.op.get_build_config())
    layer.set_weights([kernel, np.full(layer.filters, _NEXT_TO_NOTHING, "float32")])
    return [Node(layer, node.args, node.kwargs, node.outputs, node.path)], node.outputs
