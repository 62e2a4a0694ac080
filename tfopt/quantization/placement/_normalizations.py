"""Normalizations by the statistics of each sample, in 16-bit integers: in 8 bits, a square keeps half of its digits."""

import math
from collections.abc import Callable, Sequence
from typing import Any

import keras
import numpy as np
from keras import ops

from tfopt.graph import Node
from tfopt.kernels import ScaleShift
from tfopt.quantization.placement._parts import Parts

# Axes, the batch among them. Ethos-U has no mean over the last of four (Vela 5.2); not every kernel broadcasts five.
_MOST_AXES, _MOST_OPEN_AXES = 3, 4


def centered(part: Parts, x: Any) -> Any:
    """`x - mean(x)` over the last axis."""
    return part.difference("centered", x, ops.mean(x, axis=-1, keepdims=True))


def power(part: Parts, x: Any, reduce: Callable[..., Any] = ops.mean) -> Any:
    """`mean(x**2)`, or `sum(x**2)`, over the last axis."""
    return reduce(part.product("square", x, x), axis=-1, keepdims=True)


def over_last_axis(x: Any, axes: Sequence[int], function: Callable[[Any], Any]) -> Any:
    """What a function over the last axis makes of several axes, or of others; None where open sizes forbid it.

    Args:
        x: a Keras tensor.
        axes: the axes.
        function: tensor -> tensor, of the same shape or with a last axis of 1, which stands for all of `axes`.
    """
    rank = len(x.shape)
    axes = sorted(axis % rank for axis in axes)
    most = _MOST_OPEN_AXES if None in x.shape[1:] else _MOST_AXES
    if axes == [rank - 1] and 1 < rank <= most:
        return function(x)
    others = [axis for axis in range(1, rank) if axis not in axes]
    if 0 in axes or not axes or None in x.shape[1:]:
        return None
    order = (0, *others, *axes)
    moved = x if order == tuple(range(rank)) else ops.transpose(x, order)
    rows, size = (math.prod(x.shape[axis] for axis in some) for some in (others, axes))
    y = function(ops.reshape(moved, (-1, rows, size)))
    shape = (
        moved.shape[1:] if y.shape[-1] == size else (*(x.shape[axis] for axis in others), *[1] * len(axes))
    )
    y = ops.reshape(y, (-1, *shape))
    return y if moved is x else ops.transpose(y, [order.index(axis) for axis in range(rank)])


def _scaled(part: Parts, x: Any, gamma: Any, beta: Any) -> Any:
    """`x * gamma + beta` along the last axis; either may be None."""
    weights = [ops.convert_to_numpy(one).reshape(-1) for one in (gamma, beta) if one is not None]
    if not weights:
        return x
    layer = part("scale_shift", ScaleShift, gamma is not None, beta is not None)
    layer.trainable = getattr(part.op, "trainable", False)
    y = layer(x)
    layer.set_weights([np.broadcast_to(one, (x.shape[-1],)) for one in weights])
    return y


def _normalized(
    part: Parts, x: Any, epsilon: float, gamma: Any = None, beta: Any = None, **which: Any
) -> Any:
    """`x / sqrt(mean(x**2) + epsilon) * gamma + beta` over the last axis, with or without the mean of `x` taken out.

    Args:
        part: makes the layers.
        x: a tensor of the model's bits.
        epsilon: what is added to the mean square.
        gamma: numbers along the last axis, or None.
        beta: likewise.
        **which: `of_centered`, whether the mean goes out of the squares; `centers`, whether it goes out of `x`.
    """
    x = part.widen(x)
    around_0 = centered(part, x) if which["of_centered"] else x
    variance = part.affine("plus_epsilon", power(part, around_0), 1.0, epsilon)
    y = part.product("standardized", around_0 if which["centers"] else x, part.reciprocal_root(variance))
    return part.narrow(_scaled(part, y, gamma, beta))


def _axes_of(op: Any) -> list[int]:
    return list(op.axis) if isinstance(op.axis, (list, tuple)) else [op.axis]


def _layer_normalization(part: Parts, node: Node, x: Any) -> Any:
    """`(x - mean(x)) / sqrt(var(x) + epsilon) * gamma + beta` (Ba et al. 2016, arXiv 1607.06450).

    With `rms_scaling` the variance is that, and the mean stays in, as Keras has it.
    """
    op = node.op
    which = {"of_centered": True, "centers": not op.rms_scaling}
    beta = None if op.rms_scaling else op.beta
    return over_last_axis(
        x, _axes_of(op), lambda x: _normalized(part, x, op.epsilon, op.gamma, beta, **which)
    )


def _rms_normalization(part: Parts, node: Node, x: Any) -> Any:
    """`x / sqrt(mean(x**2) + epsilon) * scale` (Zhang & Sennrich 2019, arXiv 1910.07467)."""
    op = node.op
    which = {"of_centered": False, "centers": False}
    return over_last_axis(x, _axes_of(op), lambda x: _normalized(part, x, op.epsilon, op.scale, **which))


def _of_ops(part: Parts, node: Node, *tensors: Any) -> Any:
    """`keras.ops.layer_normalization` and `rms_normalization`; None where weights are computed."""
    op, given = node.op, dict(zip(("x", "gamma", "beta"), node.args, strict=False)) | node.kwargs
    gamma, beta = given.get("scale", given.get("gamma")), given.get("beta")
    if len(tensors) != 1 or any(isinstance(one, keras.KerasTensor) for one in (gamma, beta)):
        return None
    is_rms, keeps_mean = type(op).__name__ == "RMSNorm", getattr(op, "rms_scaling", True)
    which = {"of_centered": not is_rms, "centers": not keeps_mean}
    epsilon = keras.config.epsilon() if op.epsilon is None else op.epsilon
    return over_last_axis(
        tensors[0], _axes_of(op), lambda x: _normalized(part, x, epsilon, gamma, beta, **which)
    )


def _group_normalization(part: Parts, node: Node, x: Any) -> Any:
    """As a layer normalization, over all places of a group of channels (Wu & He 2018, arXiv 1803.08494)."""
    op, rank = node.op, len(x.shape)
    axis = op.axis % rank
    if None in x.shape[1:] or rank < 3 or not axis:
        return None
    places = [size for at, size in enumerate(x.shape) if at not in (0, axis)]
    channels, area = x.shape[axis], math.prod(places)
    first = (0, *(at for at in range(1, rank) if at != axis), axis)
    x = x if axis == rank - 1 else ops.transpose(x, first)
    groups = ops.transpose(ops.reshape(x, (-1, area, op.groups, channels // op.groups)), (0, 2, 1, 3))
    wide = part.widen(ops.reshape(groups, (-1, op.groups, area * channels // op.groups)))
    around_0 = centered(part, wide)
    variance = part.affine("plus_epsilon", power(part, around_0), 1.0, op.epsilon)
    y = part.product("standardized", around_0, part.reciprocal_root(variance))
    y = ops.transpose(ops.reshape(y, (-1, op.groups, area, channels // op.groups)), (0, 2, 1, 3))
    y = part.narrow(_scaled(part, ops.reshape(y, (-1, area, channels)), op.gamma, op.beta))
    y = ops.reshape(y, (-1, *places, channels))
    return y if axis == rank - 1 else ops.transpose(y, [first.index(at) for at in range(rank)])


def _unit_normalization(part: Parts, node: Node, x: Any) -> Any:
    """`x / sqrt(sum(x**2))`; None for other norms."""
    if getattr(node.op, "order", 2) != 2 or node.op.axis is None:
        return None

    def normalized(x: Any) -> Any:
        x = part.widen(x)
        return part.narrow(part.product("unit", x, part.reciprocal_root(power(part, x, ops.sum))))

    return over_last_axis(x, _axes_of(node.op), normalized)


def _in_16_bits(function: Callable[..., Any]) -> Callable[..., Any]:
    """A decomposition, for targets that compute on 16-bit codes."""
    return lambda part, node, *tensors: function(part, node, *tensors) if part.can_widen else None


# Kind of normalization -> what it comes apart into.
NORMALIZATIONS: dict[str, Callable[..., Any]] = {
    name: _in_16_bits(function)
    for name, function in {
        "GroupNormalization": _group_normalization,
        "LayerNorm": _of_ops,
        "LayerNormalization": _layer_normalization,
        "Normalize": _unit_normalization,
        "RMSNorm": _of_ops,
        "RMSNormalization": _rms_normalization,
        "UnitNormalization": _unit_normalization,
    }.items()
}
