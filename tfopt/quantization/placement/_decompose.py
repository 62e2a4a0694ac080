"""Decomposition: what TFLite computes in several kernels becomes several operations, each with a grid of its own."""

import math
from collections.abc import Callable, Container
from typing import Any

import keras
import numpy as np
from keras import layers, ops

from tfopt.graph import Expansion, Graph, Node, affine_of, inline, kind, substitute
from tfopt.kernels import TARGETS, Target
from tfopt.quantization.placement._activations import ACTIVATIONS, gelu
from tfopt.quantization.placement._blocks import depth_to_space, space_to_depth
from tfopt.quantization.placement._functions_as_layers import FUNCTIONS
from tfopt.quantization.placement._masks import MASKS, REDUCTIONS, masked_softmax
from tfopt.quantization.placement._normalizations import NORMALIZATIONS
from tfopt.quantization.placement._parts import Parts
from tfopt.quantization.placement._pooling import pool_3d
from tfopt.quantization.placement._simpler_functions import SIMPLER, log_sum_exp
from tfopt.quantization.placement._statistics import STATISTICS
from tfopt.quantization.placement._volumes import conv_3d, conv_3d_transpose


def decompose(graph: Graph, target: Target = TARGETS["litert"], num_bits: int = 8) -> Graph:
    """The graph with each operation of the table below taken apart.

    Args:
        graph: a graph whose activations are split (`split_activations`).
        target: what the graph will run on.
        num_bits: bits of the model's activations.

    Returns:
        A graph that computes the same to float rounding. Parts of a shared layer are shared.
    """
    parts: dict[int, Parts] = {}
    lacking = {*target.absent, *target.float_only(num_bits)}

    def expand(node: Node) -> Expansion | None:
        function = None if node.opaque else _function(node, lacking)
        if function is None:
            return None
        part = parts.setdefault(id(node.op), Parts(node.op, target, num_bits))
        return inline(node, lambda *tensors: function(part, node, *tensors))

    return graph.map_nodes(expand)


def _function(node: Node, lacking: Container[str]) -> Callable[..., Any] | None:
    """What takes a node apart; None to keep it."""
    if _is_rescaling(node):
        return _rescaling
    operator, alternative = ALTERNATIVES.get(kind(node.op), ("", None))
    return alternative if operator in lacking else DECOMPOSITIONS.get(kind(node.op))


# Kind of operation -> the TFLite operator that it is, and what takes it apart for a target that lacks the operator, or
# lacks it for codes of so many bits.
ALTERNATIVES: dict[str, tuple[str, Callable[..., Any]]] = {
    **REDUCTIONS,
    "DepthToSpace": ("DEPTH_TO_SPACE", depth_to_space),
    "SpaceToDepth": ("SPACE_TO_DEPTH", space_to_depth),
    "Logsumexp": ("EXP", log_sum_exp),
    "gelu": ("GELU", gelu),
}

# What may be a factor and an offset per channel. As a layer of its own, that becomes one kernel whose bits are known.
_AFFINE = ("Add", "Divide", "Multiply", "Normalization", "Subtract", "TrueDivide")


def _is_rescaling(node: Node) -> bool:
    return kind(node.op) in _AFFINE and len(node.output.shape) <= 4 and affine_of(node) is not None


def _rescaling(part: Parts, node: Node, x: Any) -> Any:
    """`x * factor + offset`, of numbers that the model holds."""
    numbers = [each[0] if np.all(each == each[0]) else each for each in affine_of(node) or ()]
    return part.affine("", x, *(number.tolist() for number in numbers))


def _separable(part: Parts, node: Node, x: Any) -> Any:
    """A depthwise convolution and a pointwise one; the second keeps the layer's name, activation and bias."""
    layer = node.op
    two = kind(layer) == "SeparableConv2D"
    common = {"data_format": layer.data_format}
    depthwise = part(
        "depthwise",
        layers.DepthwiseConv2D if two else layers.DepthwiseConv1D,
        layer.kernel_size if two else layer.kernel_size[0],
        strides=layer.strides if two else layer.strides[0],
        padding=layer.padding,
        dilation_rate=layer.dilation_rate if two else layer.dilation_rate[0],
        depth_multiplier=layer.depth_multiplier,
        depthwise_regularizer=layer.depthwise_regularizer,
        depthwise_constraint=layer.depthwise_constraint,
        use_bias=False,
        **common,
    )
    pointwise = part(
        "",
        layers.Conv2D if two else layers.Conv1D,
        layer.filters,
        1,
        use_bias=layer.use_bias,
        activation=layer.activation,
        kernel_regularizer=layer.pointwise_regularizer,
        kernel_constraint=layer.pointwise_constraint,
        bias_regularizer=layer.bias_regularizer,
        bias_constraint=layer.bias_constraint,
        **common,
    )
    depthwise.trainable = pointwise.trainable = layer.trainable
    y = pointwise(depthwise(x))
    first, *rest = layer.get_weights()
    depthwise.set_weights([first])
    pointwise.set_weights(rest)
    return y


def _average(part: Parts, node: Node, *tensors: Any) -> Any:
    """The mean of several tensors: a sum and a multiplication."""
    return part.affine("over_n", _sum(part, tensors), 1.0 / len(tensors)) if len(tensors) > 1 else None


def _add(part: Parts, node: Node, *tensors: Any) -> Any:
    """A sum of more than two tensors: TFLite adds two at a time, and rounds after each."""
    return _sum(part, tensors) if len(tensors) > 2 else None


def _sum(part: Parts, tensors: tuple[Any, ...]) -> Any:
    total = tensors[0]
    for index, tensor in enumerate(tensors[1:]):
        total = part.add(f"sum_{index}", total, tensor)
    return total


def _multiply(part: Parts, node: Node, *tensors: Any) -> Any:
    """A product of more than two tensors."""
    if len(tensors) < 3:
        return None
    product = tensors[0]
    for index, tensor in enumerate(tensors[1:]):
        product = part(f"product_{index}", layers.Multiply)([product, tensor])
    return product


def _negative(part: Parts, node: Node, x: Any) -> Any:
    return part.affine("minus", x, -1.0)


def _square(part: Parts, node: Node, x: Any) -> Any:
    return part.times(x, x)


def _power(part: Parts, node: Node, *tensors: Any) -> Any:
    """A square is a product, a cube two, a fourth power the square of a square; other powers stay float."""
    exponent = node.args[1] if len(node.args) > 1 else None
    if len(tensors) != 1 or not isinstance(exponent, (int, float)) or exponent not in (2, 3, 4):
        return None
    square = part.times(tensors[0], tensors[0])
    return (
        square if exponent == 2 else part.product("power", square, (tensors[0] if exponent == 3 else square))
    )


def _one_hot(part: Parts, node: Node, indices: Any) -> Any:
    """Rows of a unit matrix; None along another axis than the last."""
    if getattr(node.op, "axis", -1) != -1 or "float" not in node.output.dtype:
        return None
    size = node.op.num_classes
    table = part("table", layers.Embedding, size, size, embeddings_initializer="identity")
    table.trainable = False
    return table(indices)


def _attention(part: Parts, node: Node, *tensors: Any) -> Any:
    """`softmax(scale q k^T) v` (Luong et al. 2015, arXiv 1508.04025); None where its scores are asked for."""
    layer = node.op
    if layer.score_mode != "dot" or layer.dropout or len(keras.tree.flatten(node.outputs)) > 1:
        return None
    values = dict(zip(map(id, node.inputs), tensors, strict=True))
    query, value, *key = substitute(node.args[0], values)
    mask = substitute(node.kwargs.get("mask", node.args[1] if len(node.args) > 1 else None), values)
    of_query, of_value = (mask or (None, None))[:2]
    scores = ops.matmul(query, ops.transpose(key[0] if key else value, (0, 2, 1)))
    if layer.use_scale:
        scores = part.affine("scaled", scores, float(ops.convert_to_numpy(layer.scale)))
    kept = None if of_value is None else ops.expand_dims(ops.cast(of_value, "bool"), 1)
    if node.kwargs.get("use_causal_mask"):
        if None in scores.shape[1:]:
            return None
        causal = np.tril(np.ones((1, *scores.shape[1:]), bool))
        kept = causal if kept is None else ops.logical_and(kept, causal)
    shares = _shares(part, scores, kept)
    if shares is None:
        return None
    y = ops.matmul(shares, value)
    return y if of_query is None else ops.where(ops.expand_dims(of_query, -1), y, 0.0)


def _shares(part: Parts, scores: Any, mask: Any) -> Any:
    """The shares of an attention, equal where a mask keeps nothing; None where integers cannot compute them."""
    if mask is None:
        return part.activation("softmax", scores)
    shares = masked_softmax(part, scores, mask, uniform=True)
    # The layer writes 0 where nothing is kept, which a mask that is known, as a causal one, has nowhere.
    if shares is None and not isinstance(mask, keras.KerasTensor):
        shares = part("masked_softmax", layers.Softmax)(scores, mask)
    return shares


def _dot_product_attention(part: Parts, node: Node, *tensors: Any) -> Any:
    """`softmax(scale q k^T) v` (Vaswani et al. 2017, arXiv 1706.03762); None with a bias."""
    mask = node.kwargs.get("mask")
    masks = 1 if isinstance(mask, keras.KerasTensor) else 0
    if len(tensors) != 3 + masks or getattr(node.op, "attn_logits_soft_cap", None) is not None:
        return None
    query, key, value = tensors[:3]
    mask = tensors[3] if masks else mask
    if getattr(node.op, "is_causal", False):
        if mask is not None or None in (query.shape[1], key.shape[1]):
            return None
        mask = np.tril(np.ones((1, 1, query.shape[1], key.shape[1]), bool))
    scale = node.kwargs.get("scale") or 1.0 / math.sqrt(query.shape[-1])
    groups = query.shape[2] // key.shape[2]
    if groups > 1:
        key, value = ops.repeat(key, groups, axis=2), ops.repeat(value, groups, axis=2)
    query = ops.transpose(part.affine("scaled", query, scale), (0, 2, 1, 3))
    scores = ops.matmul(query, ops.transpose(key, (0, 2, 3, 1)))
    shares = _shares(part, scores, mask)
    if shares is None:
        return None
    mixed = ops.matmul(shares, ops.transpose(value, (0, 2, 1, 3)))
    return ops.transpose(mixed, (0, 2, 1, 3))


# The kind of an operation (see `tfopt.graph.kind`) -> the function that takes it apart, or returns None to keep it.
DECOMPOSITIONS: dict[str, Callable[..., Any]] = {
    **ACTIVATIONS,
    **FUNCTIONS,
    **MASKS,
    **NORMALIZATIONS,
    **SIMPLER,
    **STATISTICS,
    "Add": _add,
    "Attention": _attention,
    "Average": _average,
    "AveragePooling3D": pool_3d,
    "Conv3D": conv_3d,
    "Conv3DTranspose": conv_3d_transpose,
    "DotProductAttention": _dot_product_attention,
    "MaxPooling3D": pool_3d,
    "Multiply": _multiply,
    "Negative": _negative,
    "OneHot": _one_hot,
    "Power": _power,
    "SeparableConv1D": _separable,
    "SeparableConv2D": _separable,
    "Square": _square,
}
