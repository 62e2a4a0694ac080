"""Activations that TFLite has no int8 kernel for, as operations that it has."""

import math
from collections.abc import Callable
from typing import Any

from keras import layers, ops

from tfopt.graph import Node
from tfopt.kernels import FixedRange
from tfopt.quantization.placement._parts import Parts


def _hard_sigmoid(part: Parts, node: Node, x: Any) -> Any:
    """`relu6(x + 3) / 6`."""
    clipped = part("relu6", layers.ReLU, 6.0)(part.affine("plus_3", x, 1.0, 3.0))
    return part.affine("over_6", clipped, 1.0 / 6.0)


def _hard_silu(part: Parts, node: Node, x: Any) -> Any:
    """`x * relu6(x + 3) / 6` (Howard et al. 2019, arXiv 1905.02244)."""
    return part.times(x, _hard_sigmoid(part, node, x))


def _silu(part: Parts, node: Node, x: Any) -> Any:
    """`x * sigmoid(x)` (Ramachandran et al. 2017, arXiv 1710.05941)."""
    return part.times(x, part.activation("sigmoid", x))


# The ends of what a sigmoid reads in 16 bits: beyond, it is 0 or 1 to a fifth of a step.
_STEEP = (-12.0, 12.0)


def gelu(part: Parts, node: Node, x: Any) -> Any:
    """`x * sigmoid(2 c (x + 0.044715 x**3))`, `c = sqrt(2 / pi)`, at most 0.0005 from GELU; in 16 bits.

    The same as its form with a tanh (Hendrycks & Gimpel 2016, arXiv 1606.08415, section 2). Where the target has 8 bits
    alone, `x * sigmoid(1.702 x)` of the same section, at most 0.02 from it.
    """
    if not part.can_widen or len(x.shape) > 4:
        return part.times(x, part.activation("sigmoid", part.affine("steeper", x, 1.702)))
    twice = 2.0 * math.sqrt(2.0 / math.pi)
    wide = part.widen(x)
    slope = part.affine("slope", part.product("square", wide, wide), 0.044715 * twice, twice)
    steep = part("steep_range", FixedRange, *_STEEP)(part.product("steep", wide, slope))
    return part.narrow(part.product("gated", wide, part.activation("sigmoid", steep)))


def _glu(part: Parts, node: Node, x: Any) -> Any:
    """The first half times the sigmoid of the second (Dauphin et al. 2016, arXiv 1612.08083)."""
    axis = getattr(node.op, "axis", -1)
    first, second = ops.split(x, 2, axis=axis)
    return part.times(first, part.activation("sigmoid", second))


def _softplus(part: Parts, node: Node, x: Any) -> Any:
    """`log(1 + exp(x)) = relu(x) + log(1 + exp(-|x|))`: all numbers on the way are small."""
    small = ops.exp(part.affine("minus", ops.abs(x), -1.0))
    return part.add("sum", part.activation("relu", x), ops.log(part.affine("plus_1", small, 1.0, 1.0)))


def _log_sigmoid(part: Parts, node: Node, x: Any) -> Any:
    """`-softplus(-x)`."""
    return part.affine("negative", _softplus(part, node, part.affine("of_minus", x, -1.0)), -1.0)


def _mish(part: Parts, node: Node, x: Any) -> Any:
    """`x * tanh(softplus(x))` (Misra 2019, arXiv 1908.08681)."""
    return part.times(x, part.activation("tanh", _softplus(part, node, x)))


def _softsign(part: Parts, node: Node, x: Any) -> Any:
    """`x / (1 + |x|)`."""
    return ops.divide(x, part.affine("plus_1", ops.abs(x), 1.0, 1.0))


def _exponential_unit(alpha: float, scale: float) -> Callable[..., Any]:
    """`scale * (relu(x) + alpha * (exp(-relu(-x)) - 1))`."""

    def expand(part: Parts, node: Node, x: Any) -> Any:
        a = getattr(node.op, "alpha", alpha) if alpha == scale == 1.0 else alpha
        below = part.activation("relu", part.affine("minus", x, -1.0), part="below")
        drop = part.affine("drop", ops.exp(part.affine("negative", below, -1.0)), scale * a, -scale * a)
        above = part.activation("relu", x, part="above")
        return part.add("sum", above if scale == 1.0 else part.affine("scaled", above, scale), drop)

    return expand


def _tanh_shrink(part: Parts, node: Node, x: Any) -> Any:
    """`x - tanh(x)`."""
    return part("minus", layers.Subtract)([x, part.activation("tanh", x)])


def _soft_shrink(part: Parts, node: Node, x: Any) -> Any:
    """`relu(x - t) - relu(-x - t)`."""
    t = getattr(node.op, "threshold", 0.5)
    above = part.activation("relu", part.affine("less", x, 1.0, -t), part="above")
    below = part.activation("relu", part.affine("more", x, -1.0, -t), part="below")
    return part("minus", layers.Subtract)([above, below])


def _sparse_sigmoid(part: Parts, node: Node, x: Any) -> Any:
    """`clip((x + 1) / 2, 0, 1)`."""
    return ops.clip(part.affine("half", x, 0.5, 0.5), 0.0, 1.0)


def _relu(part: Parts, node: Node, x: Any) -> Any:
    """A ReLU with a limit of its own; None for one with a slope or threshold."""
    layer = node.op
    plain = isinstance(layer, layers.ReLU) and not (layer.negative_slope or layer.threshold)
    return ops.clip(x, 0.0, layer.max_value) if plain else None


_SELU_ALPHA, _SELU_SCALE = 1.6732632423543772, 1.0507009873554805

# Kind of activation -> what it comes apart into.
ACTIVATIONS: dict[str, Callable[..., Any]] = {
    "ReLU": _relu,
    "celu": _exponential_unit(1.0, 1.0),
    "elu": _exponential_unit(1.0, 1.0),
    "glu": _glu,
    "hard_sigmoid": _hard_sigmoid,
    "hard_silu": _hard_silu,
    "log_sigmoid": _log_sigmoid,
    "mish": _mish,
    "selu": _exponential_unit(_SELU_ALPHA, _SELU_SCALE),
    "silu": _silu,
    "soft_shrink": _soft_shrink,
    "softplus": _softplus,
    "softsign": _softsign,
    "sparse_sigmoid": _sparse_sigmoid,
    "tanh_shrink": _tanh_shrink,
}
