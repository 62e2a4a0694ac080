"""Lowering of tensor operations: what the converter would not turn into one int8 kernel by itself."""

import dataclasses
import itertools
from typing import Any

import keras
import numpy as np
from keras import layers, ops

from tfopt.graph import Expansion, Graph, Node, einsum_axes, inline, kind, tensors_in
from tfopt.kernels import FloatFence, is_dense


def einsum_to_dense(node: Node) -> Expansion | None:
    """`EinsumDense` as `Dense` between reshapes and transpositions: one FULLY_CONNECTED, quantized per channel."""
    axes = einsum_axes(node.op) if is_dense(node) else None
    if axes is None:
        return None
    layer = node.op
    kernel = np.asarray(layer.kernel)
    sizes = [kernel.shape[axis] for axis in axes.kept]
    dense = layers.Dense(
        int(np.prod(sizes)), activation=layer.activation, use_bias=layer.bias is not None, name=layer.name
    )
    matrix = kernel.transpose(*axes.summed, *axes.kept).reshape(-1, dense.units)
    dense.build((None, matrix.shape[0]))
    bias = [] if layer.bias is None else [np.asarray(axes.bias_of_channels(layer.bias, kernel))]
    dense.set_weights([matrix, *bias])

    def product(x: keras.KerasTensor) -> keras.KerasTensor:
        x = _transposed(x, axes.inputs)
        batch = x.shape[1 : len(x.shape) - len(axes.summed)]
        x = dense(x if len(axes.summed) == 1 else ops.reshape(x, (-1, *batch, matrix.shape[0])))
        x = x if len(sizes) == 1 else ops.reshape(x, (-1, *batch, *sizes))
        return _transposed(x, axes.outputs)

    return inline(node, product)


def dense_of_one_feature(node: Node) -> Expansion | None:
    """A `Dense` that reads one feature as a convolution: the converter makes a product of it, which rounds twice."""
    if kind(node.op) != "Dense" or node.opaque or node.inputs[0].shape[-1] != 1:
        return None
    layer, shape = node.op, node.output.shape
    if shape[1:].count(None) > 1:
        return None
    convolution = layers.Conv2D(
        layer.units, 1, activation=layer.activation, use_bias=layer.use_bias, name=layer.name
    )
    convolution.build((None, 1, None, 1))
    kernel, *bias = layer.get_weights()
    convolution.set_weights([kernel[np.newaxis, np.newaxis], *bias])
    sizes = [-1 if size is None else size for size in shape[1:]]

    def convolved(x: keras.KerasTensor) -> keras.KerasTensor:
        if len(shape) == 4:
            return convolution(x)
        row = layers.Reshape((1, -1, 1), name=f"{layer.name}_to_2d")(x)
        return layers.Reshape(sizes, name=f"{layer.name}_from_2d")(convolution(row))

    return inline(node, convolved)


def _transposed(x: keras.KerasTensor, order: tuple[int, ...]) -> keras.KerasTensor:
    return x if order == tuple(range(len(order))) else ops.transpose(x, order)


def splits_to_slices(graph: Graph) -> Graph:
    """Each split of which some part is not used, as slices: the converter keeps SPLIT in float if one is not."""

    def expand(node: Node) -> Expansion | None:
        parts = tensors_in(node.outputs)
        used = [id(part) in graph.consumers or id(part) in graph.output_ids for part in parts]
        if kind(node.op) not in ("Split", "ArraySplit", "Unstack") or all(used):
            return None
        axis = node.op.axis % len(node.inputs[0].shape)
        before = (slice(None),) * axis
        if kind(node.op) == "Unstack":
            return inline(node, lambda x: [x[(*before, index)] for index in range(len(parts))])
        ends = np.cumsum([0, *(part.shape[axis] for part in parts)]).tolist()
        spans = [slice(*pair) for pair in itertools.pairwise(ends)]
        return inline(node, lambda x: [x[(*before, span)] for span in spans])

    return graph.map_nodes(expand)


def drop_float_cast(node: Node) -> Expansion | None:
    """All of the inference model is float32: a cast between float types does nothing."""
    if kind(node.op) != "Cast" or node.opaque or not node.inputs:
        return None
    (source,) = node.inputs
    floats = all("float" in tensor.dtype for tensor in (source, node.output))
    return ([], source) if floats else None


# What Keras puts in place of scores that a mask leaves out.
_MASKED = -1e9


def fence_masked_softmax(node: Node) -> Expansion | None:
    """A masked softmax with a fence before its second choice, that of zeros for a row of which nothing is left.

    Without it the converter rounds the shares between the two: it knows a grid for the output of a softmax.
    """
    if kind(node.op) != "softmax" or not isinstance(node.op, layers.Softmax) or node.opaque:
        return None
    mask = node.kwargs.get("mask", node.args[1] if len(node.args) > 1 else None)
    if mask is None:
        return None

    def softmax(scores: keras.KerasTensor, *masks: keras.KerasTensor) -> keras.KerasTensor:
        (kept,) = masks or (mask,)
        kept = kept if keras.backend.standardize_dtype(kept.dtype) == "bool" else ops.greater(kept, 0.5)
        shares = layers.Softmax(node.op.axis, name=node.op.name)(ops.where(kept, scores, _MASKED))
        return ops.where(kept, FloatFence(casts=True, name=f"{node.op.name}_fence")(shares), 0.0)

    return inline(node, softmax)


class _ArgMax(layers.Layer):
    """TensorFlow's own argmax: that of Keras tells -0.0 from 0.0, for which TFLite has no operator."""

    def __init__(self, axis: int | None, keepdims: bool, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.axis = axis
        self.keepdims = keepdims

    def call(self, x: Any) -> Any:
        import tensorflow as tf

        found = tf.argmax(x, self.axis, output_type="int32")
        return tf.expand_dims(found, self.axis) if self.keepdims else found

    def compute_output_spec(self, x: keras.KerasTensor) -> keras.KerasTensor:
        return ops.argmax(x, self.axis, self.keepdims)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "axis": self.axis, "keepdims": self.keepdims}


class _Lookup(layers.Embedding):
    """`Embedding` without the count from the end for negative numbers: a GATHER, without a SELECT behind it."""

    def call(self, inputs: Any) -> Any:
        import tensorflow as tf

        return tf.gather(tf.convert_to_tensor(self.embeddings), tf.cast(inputs, "int32"))


def plain_lookup(op: keras.Operation) -> keras.Operation:
    """An embedding as a GATHER alone, as TFLite Micro has no SELECT; any other operation as it is."""
    if kind(op) != "Embedding":
        return op
    layer = _Lookup.from_config(op.get_config())
    layer.build(None)
    layer.set_weights(op.get_weights())
    return layer


def plain_argmax(node: Node) -> Expansion | None:
    """An argmax that TFLite has an operator for."""
    if kind(node.op) != "Argmax" or node.opaque or node.op.axis is None:
        return None
    layer = _ArgMax(node.op.axis, node.op.keepdims, name=node.op.name)
    return [dataclasses.replace(node, op=layer)], node.outputs
