"""One table with a row per operation: how channels flow through it, and what changes when some are removed."""

import dataclasses
from collections.abc import Callable

import keras
import numpy as np

from tfopt.channels import _rules_of_arithmetic as arithmetic
from tfopt.channels import _rules_of_blocks as blocks
from tfopt.channels import _rules_of_recurrence as recurrence
from tfopt.channels import _rules_of_shape as shape_rules
from tfopt.channels import _rules_with_weights as with_weights
from tfopt.channels._channels import Sizes, variable_of
from tfopt.channels._layer_norm import PartialLayerNormalization
from tfopt.channels._rule import ATTRIBUTE, ChannelRule, Config
from tfopt.graph import Node, Operation, kind


def _weight_shape(op: Operation, sizes: Sizes, name: str) -> tuple[int, ...]:
    return sizes.weight(op, variable_of(op, name))


def _last_of(argument: str, weight: str, axis: int = -1) -> Callable[[Node, Sizes], Config]:
    return lambda node, sizes: {argument: _weight_shape(node.op, sizes, weight)[axis]}


def _convolution_config(node: Node, sizes: Sizes) -> Config:
    filters = _weight_shape(node.op, sizes, "kernel")[-1]
    groups = node.op.groups if node.op.groups == 1 else node.op.groups * filters // node.op.filters
    return {"filters": filters, "groups": groups}


def _einsum_config(node: Node, sizes: Sizes) -> Config:
    shape = node.op.get_config()["output_shape"]
    old = [shape] if isinstance(shape, int) else list(shape)
    new = sizes.shape(node.output)[-len(old) :]
    return {"output_shape": [None if o is None else n for o, n in zip(old, new, strict=True)]}


def _group_norm_config(node: Node, sizes: Sizes) -> Config:
    axis = node.op.axis
    before, after = node.output.shape[axis], sizes.shape(node.output)[axis]
    return {"groups": node.op.groups if node.op.groups == -1 else node.op.groups * after // before}


def _layer_scale_config(node: Node, sizes: Sizes) -> Config:
    return {"projection_dim": sizes.shape(node.output)[-1]}


def _part(node: Node, sizes: Sizes) -> float:
    """How much of the last axis remains."""
    return (sizes.shape(node.output)[-1] or 0) / node.output.shape[-1]


def _rms_config(node: Node, sizes: Sizes) -> Config:
    # The mean of squares over all channels is `part` times the mean over the remaining ones.
    return {"epsilon": node.op.epsilon / _part(node, sizes)}


def _rms_values(node: Node, sizes: Sizes, values: list[np.ndarray]) -> list[np.ndarray]:
    return [value / np.sqrt(_part(node, sizes)) for value in values]


def _layer_norm_config(node: Node, sizes: Sizes) -> Config:
    return {"channels": getattr(node.op, "channels", node.output.shape[-1])}


def _reshape_call(node: Node, sizes: Sizes) -> Node:
    shape = [-1 if size is None else size for size in sizes.shape(node.output)[1:]]
    if shape_rules.folds_batch(node.inputs[0].shape, node.output.shape):
        return dataclasses.replace(node, op=type(node.op)((-1, *shape)), args=(node.inputs[0],), kwargs={})
    layer = keras.layers.Reshape(shape, name=node.op.name)
    return dataclasses.replace(node, op=layer, args=(node.inputs[0],), kwargs={})


def _split_call(node: Node, sizes: Sizes) -> Node:
    axis = node.op.axis
    ends, end = [], 0
    for tensor in node.outputs[:-1]:
        end += sizes.shape(tensor)[axis] or 0
        ends.append(end)
    return dataclasses.replace(node, op=type(node.op)(ends, axis=axis, name=node.op.name))


def _get_item_call(node: Node, sizes: Sizes) -> Node:
    x, axis, key = node.inputs[0], 0, []
    for part in shape_rules.key_of(node, len(x.shape)):
        units = sizes.units(x, axis) if isinstance(part, slice) else None
        if units is not None:
            kept = sizes.mask(units)
            start, stop, _ = part.indices(len(units))
            part = slice(int(kept[:start].sum()), int(kept[:stop].sum()))
        key.append(part)
        axis += part is not None
    return dataclasses.replace(node, args=(x, tuple(key)), kwargs={})


_CARRY = ChannelRule(arithmetic.carry)
_CHANNELS = ChannelRule(arithmetic.carry_channels)
_TIE = ChannelRule(arithmetic.tie)
_REDUCE = ChannelRule(arithmetic.reduce)
_GLOBAL_POOL = ChannelRule(arithmetic.global_pool)
_PERMUTE = ChannelRule(shape_rules.permute)
_CONVOLUTION = ChannelRule(
    with_weights.convolution, ("kernel", "bias"), _convolution_config, bias=with_weights.bias_axis
)
_TRANSPOSED = ChannelRule(
    with_weights.transposed,
    ("kernel", "bias"),
    _last_of("filters", "kernel", -2),
    bias=with_weights.bias_axis,
)
_DEPTHWISE = ChannelRule(with_weights.depthwise, ("kernel", "bias"))
_SEPARABLE = ChannelRule(
    with_weights.separable,
    ("depthwise_kernel", "pointwise_kernel", "bias"),
    _last_of("filters", "pointwise_kernel"),
    bias=with_weights.bias_axis,
)
_LAYER_NORM = ChannelRule(
    with_weights.over_channels,
    ("gamma", "beta"),
    _layer_norm_config,
    layer=PartialLayerNormalization,
    counts_zeros=arithmetic.axes_of,
)

_NORMALIZE = ChannelRule(arithmetic.carry, counts_zeros=arithmetic.axes_of)
_RECURRENT = ChannelRule(
    recurrence.recurrent,
    ("kernel", "recurrent_kernel", "bias"),
    recurrence.config,
    reads_itself=True,
    closed=True,
)

# Compute each number by itself.
_ELEMENTWISE = """
    elu gelu hard_sigmoid hard_silu leaky_relu relu relu6 sigmoid silu tanh
    celu exponential hard_tanh linear log_sigmoid mish selu softplus softsign
    squareplus soft_shrink hard_shrink tanh_shrink sparse_plus threshold
    ReLU Identity Dropout SpatialDropout1D SpatialDropout2D SpatialDropout3D
    GaussianNoise GaussianDropout ActivityRegularization Masking StopGradient
    Absolute Abs Negative Square Sqrt Exp Erf Clip Cast Sign
    Cbrt Ceil Cos Cosh Erfc Exp2 Expm1 Fabs Floor Isfinite Isinf Isnan Log Log10 Log1p Log2 LogicalNot NanToNum
    OnesLike Reciprocal Round Rsqrt Sin Sinh Tan Trunc ZerosLike Arctan Arcsinh
"""

# Combine the numbers at the same place of several tensors.
_OF_SEVERAL = """
    Add Subtract Multiply Divide TrueDivide Maximum Minimum Average Power Where
    Equal NotEqual Greater GreaterEqual Less LessEqual LogicalAnd LogicalOr LogicalXor Hypot Logaddexp
"""

# Make one number of all along some axes.
_REDUCTIONS = "Mean Sum Max Min Amax Amin Var Std Norm Prod Logsumexp Any All CountNonzero"

# The kind of an operation (see `tfopt.graph.kind`) -> its rule. The channels of an operation without a rule cannot be
# removed.
CHANNEL_RULES: dict[str, ChannelRule] = {
    # makes channels
    "Dense": ChannelRule(
        with_weights.dense, ("kernel", "bias"), _last_of("units", "kernel"), bias=with_weights.bias_axis
    ),
    "EinsumDense": ChannelRule(
        with_weights.einsum_dense, ("kernel", "bias"), _einsum_config, bias=with_weights.bias_axes
    ),
    "Embedding": ChannelRule(with_weights.embedding, ("embeddings",), _last_of("output_dim", "embeddings")),
    **{f"Conv{n}D": _CONVOLUTION for n in (1, 2, 3)},
    **{f"Conv{n}DTranspose": _TRANSPOSED for n in (1, 2, 3)},
    **{f"SeparableConv{n}D": _SEPARABLE for n in (1, 2)},
    # carries them, with weights
    **{f"DepthwiseConv{n}D": _DEPTHWISE for n in (1, 2)},
    "BatchNormalization": ChannelRule(
        with_weights.per_channel("gamma", "beta", "moving_mean", "moving_variance"),
        ("gamma", "beta", "moving_mean", "moving_variance"),
    ),
    "LayerNormalization": _LAYER_NORM,
    "PartialLayerNormalization": _LAYER_NORM,
    "RMSNormalization": ChannelRule(
        with_weights.over_channels, ("scale",), _rms_config, _rms_values, counts_zeros=arithmetic.axes_of
    ),
    "GroupNormalization": ChannelRule(with_weights.group_norm, ("gamma", "beta"), _group_norm_config),
    # reads and makes them, step by step
    **dict.fromkeys(("SimpleRNN", "LSTM", "GRU"), _RECURRENT),
    "Bidirectional": dataclasses.replace(
        _RECURRENT, flow=recurrence.bidirectional, config=recurrence.bidirectional_config
    ),
    "PReLU": ChannelRule(with_weights.prelu, ("alpha",)),
    # `keras.applications.convnext`: gamma times its input.
    "LayerScale": ChannelRule(
        with_weights.per_channel("gamma", "variable"), ("gamma", "variable"), _layer_scale_config
    ),
    # carries them
    **dict.fromkeys(_ELEMENTWISE.split(), _CARRY),
    "softmax": ChannelRule(arithmetic.softmax),
    "log_softmax": ChannelRule(arithmetic.softmax),
    **{
        f"{name}{n}D": _CHANNELS
        for n in (1, 2, 3)
        for name in ("MaxPooling", "AveragePooling", "ZeroPadding", "Cropping", "UpSampling")
    },
    **{name: _CHANNELS for name in ("MaxPool", "AveragePool", "Resizing", "Resize")},
    **{f"Global{name}Pooling{n}D": _GLOBAL_POOL for n in (1, 2, 3) for name in ("Max", "Average")},
    **dict.fromkeys(_REDUCTIONS.split(), _REDUCE),
    "Normalize": _NORMALIZE,
    "UnitNormalization": _NORMALIZE,
    # ties those of several tensors
    **dict.fromkeys(_OF_SEVERAL.split(), _TIE),
    "Matmul": ChannelRule(arithmetic.matmul),
    "Einsum": ChannelRule(arithmetic.einsum),
    "DotProductAttention": ChannelRule(arithmetic.dot_product_attention),
    # rearranges them
    "Concatenate": ChannelRule(shape_rules.concatenate),
    "Reshape": ChannelRule(shape_rules.reshape, call=_reshape_call),
    "Flatten": ChannelRule(shape_rules.reshape),
    "Squeeze": ChannelRule(shape_rules.reshape),
    "ExpandDims": ChannelRule(shape_rules.reshape),
    **{name: _PERMUTE for name in ("Transpose", "Permute", "Swapaxes", "Moveaxis")},
    "GetItem": ChannelRule(shape_rules.get_item, call=_get_item_call),
    "Split": ChannelRule(shape_rules.split, call=_split_call),
    "Repeat": ChannelRule(shape_rules.repeat),
    "RepeatVector": ChannelRule(shape_rules.repeat_vector),
    "Stack": ChannelRule(blocks.stack),
    "Unstack": ChannelRule(blocks.unstack),
    "Flip": ChannelRule(blocks.flip),
    "Pad": ChannelRule(blocks.pad),
    "DepthToSpace": ChannelRule(blocks.depth_to_space),
    "SpaceToDepth": ChannelRule(blocks.space_to_depth),
}


def rule_of(node: Node) -> ChannelRule | None:
    """The table's row for a node; None where there is none, or the layer holds weights that the row does not know."""
    if names := getattr(node.op, "weights_of_no_channel", ()):
        # Such a layer treats all channels in the same way, and keeps zeros: a quantizer, for instance.
        return ChannelRule(arithmetic.tie, tuple(names))
    row = vars(type(node.op)).get(ATTRIBUTE) or CHANNEL_RULES.get(kind(node.op))
    held = {with_weights.base_name(w) for w in getattr(node.op, "weights", ())}
    if row is None or (node.opaque and not row.closed) or not held <= set(row.weights):
        return None
    return row
