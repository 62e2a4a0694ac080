"""Lowering: a trained model becomes the graph that the converter turns into integer kernels one to one."""

import dataclasses
from collections.abc import Container
from typing import Any

import keras
import numpy as np

from tfopt._float32 import coarse
from tfopt._host_ops import array_of, on_host, row_blocks
from tfopt.conversion._channel_bounds import channel_bounds
from tfopt.conversion._dilations import one_operator_each
from tfopt.conversion._int16 import to_int8_grid
from tfopt.conversion._many_axes import merge_around, merge_axes
from tfopt.conversion._products import (
    dense_of_one_feature,
    drop_float_cast,
    einsum_to_dense,
    fence_masked_softmax,
    plain_argmax,
    plain_lookup,
    splits_to_slices,
)
from tfopt.conversion._repeats import join_repeats
from tfopt.conversion._reshapes import sink_reshapes
from tfopt.conversion._resizes import resize_for_repeats
from tfopt.conversion._sums import plain_sum
from tfopt.conversion._transposed import keep_bias
from tfopt.graph import (
    CHANNEL_AXES,
    Expansion,
    Graph,
    Node,
    activation_name,
    affine_of,
    build_model,
    capture,
    clone_operation,
    copy_weights,
    fold_batch_norms,
    inline,
    kind,
)
from tfopt.kernels import (
    LARGEST_WEIGHT_CODE,
    TARGETS,
    ConstantFakeQuantize,
    IntegerModel,
    fused_activation,
    is_depthwise,
    target_of,
)

# Call arguments that matter to training or to the simulation only.
_NOT_IN_INFERENCE = ("training", "operands", "site", "ties")


def lower(model: keras.Model, batch_size: int | None, captured: Graph | None = None) -> keras.Model:
    """The inference model of stock float32 layers that computes what `model` computes.

    Quantized layers become stock layers with the rounded kernel in them, batch norms are folded, one-dimensional
    convolutions become two-dimensional ones: what is left is one layer to one TFLite kernel.

    Args:
        model: a built Keras model, quantized or not.
        batch_size: the batch size of the new model; None leaves it open.
        captured: the model's graph, as `capture` or a rewrite of it returned; captured here by default.

    Returns:
        A new Functional model with lists of inputs and outputs. The outputs are those of `model(x, training=False)` to
        float rounding, but for 16-bit activations, which have 8-bit grids here (`to_int16`).
    """
    target = TARGETS[target_of(model)]
    captured = captured or capture(model)
    inputs, outputs = keras.tree.flatten(captured.inputs), keras.tree.flatten(captured.outputs)
    graph = dataclasses.replace(captured, inputs=inputs, outputs=outputs)
    theirs = {id(node.op) for node in captured.nodes}  # what is not theirs was made here, and may be changed
    graph = _to_inference(graph).map_nodes(drop_float_cast)
    graph = fold_batch_norms(graph)
    graph = graph.map_nodes(_affine_to_depthwise)
    graph = _fuse_activations(graph).map_nodes(einsum_to_dense)
    is_integer = any(isinstance(node.op, ConstantFakeQuantize) for node in graph.nodes)
    if is_integer:
        graph = graph.map_nodes(dense_of_one_feature)
        stored = model.stored() if isinstance(model, IntegerModel) else {}
        graph = graph.map_nodes(lambda node: _on_exact_grid(node, stored, theirs))
        graph = graph.map_nodes(fence_masked_softmax)
    graph = graph.map_nodes(_to_two_dimensions).map_nodes(plain_argmax).map_nodes(resize_for_repeats)
    graph = graph.map_nodes(keep_bias) if is_integer else graph
    graph = splits_to_slices(graph).map_nodes(merge_axes).map_nodes(merge_around)
    graph = one_operator_each(graph)
    if "TILE" in target.absent:
        graph = graph.map_nodes(join_repeats)
    graph = sink_reshapes(graph).map_nodes(to_int8_grid).map_nodes(plain_sum)
    copy = _unrolled if target.fixed_shapes else _in_float32
    return build_model(
        graph, lambda op, name: _own(op, name, theirs) or copy(op, name), batch_size=batch_size
    )


def _to_inference(graph: Graph) -> Graph:
    """Asks each layer that has a `to_inference` method for its stock equivalent, and drops training flags."""
    made: dict[int, keras.Operation] = {}

    def expand(node: Node) -> Expansion | None:
        if node.drops and node.inputs[0].dtype == node.output.dtype:
            return [], node.inputs[0]
        if node.drops:  # augmentation of bytes
            return inline(node, lambda x: keras.ops.cast(x, node.output.dtype))
        if id(node.op) not in made:
            stock = node.op.to_inference() if hasattr(node.op, "to_inference") else node.op
            made[id(node.op)] = plain_lookup(stock)
        kwargs = {name: value for name, value in node.kwargs.items() if name not in _NOT_IN_INFERENCE}
        return [dataclasses.replace(node, op=made[id(node.op)], kwargs=kwargs)], node.outputs

    return graph.map_nodes(expand)


def _affine_to_depthwise(node: Node) -> Expansion | None:
    """A lone multiplication and addition per channel is a 1x1 depthwise convolution: one int8 kernel, exact weights.

    As two operators it would stay float: the converter has no grid for the number between them.
    """
    affine = affine_of(node) if is_depthwise(node) and "float" in node.inputs[0].dtype else None
    if affine is None:
        return None
    factor, offset = affine
    layer = keras.layers.DepthwiseConv2D(1, name=node.op.name)
    layer.build((None, 1, 1, len(factor)))
    layer.set_weights([factor.reshape(1, 1, -1, 1), offset])
    return _through_four_dimensions(node, layer)


# How far, in steps, a weight on a grid of 8 bits may be from it: folding a batch norm rounds.
_NOISE = 0.02


def _on_exact_grid(
    node: Node, stored: dict[str, list[tuple[Any, Any]]], theirs: Container[int]
) -> Expansion | None:
    """A folded kernel with a scale of few digits per channel, which the converter finds again to the last bit.

    Where they are known, the scale and the bias are those that the simulation computes with. Of a layer that is called
    on several grids, or before several batch norms, it is not known here which of them the node is.
    """
    axes = CHANNEL_AXES.get(kind(node.op))
    if axes is None or node.opaque:
        return None
    kernel, *bias = map(array_of, node.op.weights)
    bound = channel_bounds(kernel, axes)
    usual, scale = True, None
    calls = stored.get(node.op.name, [])
    if len(calls) == 1:
        step, rounded = map(np.asarray, calls[0])
        known = np.broadcast_to(step, bound.size).reshape(bound.shape)
        # Only the usual grid has its largest weight at the largest code, where the converter looks for it.
        is_usual = np.abs(bound - LARGEST_WEIGHT_CODE * known) < _NOISE * known
        scale = known if is_usual.all() else np.where(is_usual, known, _found_again(bound))
        usual = bool((is_usual | (bound == 0)).all())
        bias = [np.broadcast_to(rounded, one.shape) for one in bias]
    scale = _found_again(bound) if scale is None else scale
    exact = _rounded(kernel, scale) if usual else kernel  # `store_weights` puts that on its grid
    if exact is None:
        return None  # float weights, or weights on another grid
    layer = _with_config(node.op) if id(node.op) in theirs else node.op
    layer.set_weights([exact, *bias])
    return [dataclasses.replace(node, op=layer)], node.outputs


def _rounded(kernel: np.ndarray, scale: np.ndarray) -> np.ndarray | None:
    """The kernel on its grid: itself where it is there to the bit, None where a weight lies off the grid."""
    scale, exact = np.broadcast_to(scale, kernel.shape), None
    # Some rows after another, and in memory of its own only if a number changes: a kernel may be large.
    for rows in row_blocks(kernel):
        found = (np.round(kernel[rows] / scale[rows]) * scale[rows]).astype("float32", copy=False)
        if np.any(np.abs(found - kernel[rows]) > _NOISE * scale[rows]):
            return None
        if exact is None and not np.array_equal(found, kernel[rows]):
            exact = kernel.astype("float32")
        if exact is not None:
            exact[rows] = found
    return kernel if exact is None else exact


def _found_again(bound: np.ndarray) -> np.ndarray:
    """The scale that the converter finds from the largest weight of each channel, with few digits."""
    with on_host():
        return np.asarray(coarse(np.where(bound > 0, bound, 1.0) / np.float32(LARGEST_WEIGHT_CODE)))


def _fuse_activations(graph: Graph) -> Graph:
    """Moves a ReLU into the convolution or dense layer before it, as the kernels have it."""
    fused: dict[int, Node] = {}
    for node in graph.nodes:
        follower = fused_activation(graph, node) if _is_linear(node.op) else None
        if follower is not None:
            fused[id(node)] = follower
    gone = {id(follower) for follower in fused.values()}

    def expand(node: Node) -> Expansion | None:
        if id(node) in gone:
            return [], node.inputs[0]
        if id(node) not in fused:
            return None
        layer = _with_config(node.op, activation=kind(fused[id(node)].op))
        return [dataclasses.replace(node, op=layer)], node.outputs

    return graph.map_nodes(expand)


def _is_linear(op: keras.Operation) -> bool:
    return kind(op) in (*CHANNEL_AXES, "EinsumDense") and activation_name(op) == "linear"


def _with_config(layer: keras.layers.Layer, **changes: Any) -> keras.layers.Layer:
    new = type(layer).from_config({**layer.get_config(), **changes})
    new.build_from_config(layer.get_build_config())
    copy_weights(layer, new)
    return new


# One-dimensional convolution -> its two-dimensional twin.
_TWINS = {
    "Conv1D": keras.layers.Conv2D,
    "Conv1DTranspose": keras.layers.Conv2DTranspose,
    "DepthwiseConv1D": keras.layers.DepthwiseConv2D,
}


def _to_two_dimensions(node: Node) -> Expansion | None:
    """Conv1D as Conv2D of height 1: its bias and activation then stay inside the kernel."""
    twin = _TWINS.get(kind(node.op))
    if twin is None or node.opaque:
        return None
    config = node.op.get_config()
    for name in ("kernel_size", "strides", "dilation_rate"):
        config[name] = (1, *config[name])
    if config.get("output_padding") is not None:
        config["output_padding"] = (0, *config["output_padding"])
    if twin is keras.layers.DepthwiseConv2D:
        # TFLite's depthwise kernel knows one stride for both axes; along an axis of size 1 any stride will do.
        config["strides"] = config["strides"][1:] * 2
    before = []
    if config["padding"] == "causal":
        pad = (config["kernel_size"][1] - 1) * config["dilation_rate"][1]
        before = [keras.layers.ZeroPadding2D(((0, 0), (pad, 0)), name=f"{node.op.name}_causal")]
        config["padding"] = "valid"
    layer = twin.from_config(config)
    kernel, *bias = node.op.get_weights()
    layer.build((None, 1, None, node.inputs[0].shape[-1]))
    layer.set_weights([kernel[np.newaxis], *bias])
    return _through_four_dimensions(node, layer, before)


def _through_four_dimensions(
    node: Node, layer: keras.layers.Layer, before: list[keras.layers.Layer] | None = None
) -> Expansion:
    """Calls a 2-D layer on `node`'s input, reshaped to (batch, height, width, channels) and back."""
    source, target = node.inputs[0], node.output
    chain = [*(before or []), layer]
    if len(target.shape) < 4:
        width = [] if len(target.shape) == 2 else [-1]
        chain.insert(
            0, keras.layers.Reshape((1, *(width or [1]), source.shape[-1]), name=f"{layer.name}_to_2d")
        )
        chain.append(keras.layers.Reshape((*width, target.shape[-1]), name=f"{layer.name}_from_2d"))
    nodes, tensor = [], source
    for step in chain:
        output = keras.KerasTensor(step.compute_output_shape(tensor.shape), target.dtype)
        nodes.append(Node(step, (tensor,), {}, output, f"{node.path}/{step.name}"))
        tensor = output
    return nodes, tensor


def _own(op: keras.Operation, name: str, theirs: Container[int]) -> keras.Operation | None:
    """The operation itself, if it is a built layer that was made here as it has to be."""
    is_built = isinstance(op, keras.layers.Layer) and op.built and id(op) not in theirs
    return op if is_built and op.name == name and op.compute_dtype == "float32" else None


def _in_float32(op: keras.Operation, name: str) -> keras.Operation:
    """A copy that computes in float32 whatever the model's policy: the converter knows no bfloat16.

    A layer that cannot be copied, for its class has no config, serves itself where it computes in float32.
    """
    if not isinstance(op, keras.layers.Layer):
        return clone_operation(op, name)  # of its own name: a layer may have the one that the operation had
    try:
        return clone_operation(
            op, name, "float32" if keras.backend.is_float_dtype(op.compute_dtype) else None
        )
    except ValueError:
        if op.compute_dtype != "float32" or not op.built:
            raise
        return op


def _unrolled(op: keras.Operation, name: str) -> keras.Operation:
    """The same, with a step beside the other where a recurrent layer returns all of its steps.

    TFLite Micro runs the loop and writes wrong numbers: the slices of the sequence that it gathers change in size.
    """
    copy = _in_float32(op, name)
    for layer in (copy, getattr(copy, "forward_layer", None), getattr(copy, "backward_layer", None)):
        if isinstance(layer, keras.layers.RNN) and layer.return_sequences:
            layer.unroll = True
    return copy
