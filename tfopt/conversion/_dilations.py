"""Dilated convolutions: each becomes one operator with its rate as an attribute."""

import dataclasses
import functools
from typing import Any

import keras
from keras import layers

from tfopt.graph import Expansion, Graph, Node, kind

# Keras spreads the pixels over the batch, convolves, and puts them back, from which the converter makes one operator
# again. But two convolutions of one tensor at one rate, as in a gated unit of WaveNet, then share the first part: they
# would stay three operators each, in float.


class _DilatedConv2D(layers.Conv2D):
    def convolution_op(self, inputs: Any, kernel: Any) -> Any:
        import tensorflow as tf

        return tf.nn.conv2d(
            inputs,
            tf.convert_to_tensor(kernel),
            self.strides,
            self.padding.upper(),
            dilations=self.dilation_rate,
        )


class _DilatedDepthwiseConv2D(layers.DepthwiseConv2D):
    # why wraps: an operation is known by its `call`, and this one computes what the stock one computes.
    @functools.wraps(layers.DepthwiseConv2D.call)
    def call(self, inputs: Any) -> Any:
        import tensorflow as tf

        y = tf.raw_ops.DepthwiseConv2dNative(
            input=inputs,
            filter=tf.convert_to_tensor(self.kernel),
            strides=(1, *self.strides, 1),
            padding=self.padding.upper(),
            dilations=(1, *self.dilation_rate, 1),
        )
        return self.activation(y if self.bias is None else tf.nn.bias_add(y, self.bias))


_DILATED = {"Conv2D": _DilatedConv2D, "DepthwiseConv2D": _DilatedDepthwiseConv2D}


def one_operator_each(graph: Graph) -> Graph:
    """The graph with each dilated convolution as a layer that calls one operation of TensorFlow."""
    copies: dict[int, keras.layers.Layer] = {}

    def expand(node: Node) -> Expansion | None:
        layer, dilated = node.op, _DILATED.get(kind(node.op))
        if dilated is None or node.opaque or max(layer.dilation_rate) == 1:
            return None
        if layer.data_format != "channels_last":
            return None
        if id(layer) not in copies:
            copies[id(layer)] = _copied(layer, dilated)
        return [dataclasses.replace(node, op=copies[id(layer)])], node.outputs

    return graph.map_nodes(expand)


def _copied(layer: Any, dilated: type[keras.layers.Layer]) -> keras.layers.Layer:
    copy = dilated.from_config({**layer.get_config(), "dtype": "float32"})
    copy.build_from_config(layer.get_build_config())
    copy.set_weights(layer.get_weights())
    return copy
