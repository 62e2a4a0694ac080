"""TensorFlow's functions and those of `keras.ops` that do the same."""

from collections.abc import Callable
from typing import Any

from keras import ops

_TWO = {"x": "x1", "y": "x2"}
_ONE = {"x": "x"}
_FEATURES = {"features": "x"}
_REDUCE = {"input_tensor": "x", "axis": "axis", "keepdims": "keepdims"}
_LOGITS = {"logits": "x", "axis": "axis"}


def _matmul(a: Any, b: Any, transpose_a: bool = False, transpose_b: bool = False) -> Any:
    turned = (ops.swapaxes(x, -1, -2) if turn else x for x, turn in ((a, transpose_a), (b, transpose_b)))
    return ops.matmul(*turned)


def _split(value: Any, sizes: Any, axis: int = 0) -> Any:
    if isinstance(sizes, int):
        return ops.split(value, sizes, axis)
    return ops.split(value, [sum(sizes[: end + 1]) for end in range(len(sizes) - 1)], axis)


def _reshape(x: Any, shape: Any) -> Any:
    return ops.reshape(x, tuple(-1 if size is None else int(size) for size in shape))


def _pad(x: Any, paddings: Any, mode: str = "CONSTANT", constant: Any = 0) -> Any:
    pads = tuple((int(before), int(after)) for before, after in paddings)
    if mode.upper() == "CONSTANT":
        return ops.pad(x, pads, constant_values=constant)
    return ops.pad(x, pads, mode=mode.lower())


# TensorFlow's function -> the function that does the same, and its name for each argument. An argument that is not
# here must have TensorFlow's default.
FUNCTIONS: dict[str, tuple[Callable[..., Any], dict[str, str]]] = {
    "__operators__.add": (ops.add, _TWO),
    "__operators__.eq": (ops.equal, {"self": "x1", "other": "x2"}),
    "__operators__.ne": (ops.not_equal, {"self": "x1", "other": "x2"}),
    "math.add": (ops.add, _TWO),
    "math.subtract": (ops.subtract, _TWO),
    "math.multiply": (ops.multiply, _TWO),
    "math.divide": (ops.true_divide, _TWO),
    "math.truediv": (ops.true_divide, _TWO),
    "math.floordiv": (ops.floor_divide, _TWO),
    "floor_div": (ops.floor_divide, _TWO),
    "math.floormod": (ops.mod, _TWO),
    "math.pow": (ops.power, _TWO),
    "math.maximum": (ops.maximum, _TWO),
    "math.minimum": (ops.minimum, _TWO),
    "math.squared_difference": (lambda x, y: ops.square(ops.subtract(x, y)), {"x": "x", "y": "y"}),
    "math.equal": (ops.equal, _TWO),
    "math.not_equal": (ops.not_equal, _TWO),
    "math.greater": (ops.greater, _TWO),
    "math.greater_equal": (ops.greater_equal, _TWO),
    "math.less": (ops.less, _TWO),
    "math.less_equal": (ops.less_equal, _TWO),
    "math.logical_and": (ops.logical_and, _TWO),
    "math.logical_or": (ops.logical_or, _TWO),
    "math.logical_not": (ops.logical_not, _ONE),
    "math.abs": (ops.abs, _ONE),
    "math.negative": (ops.negative, _ONE),
    "math.exp": (ops.exp, _ONE),
    "math.log": (ops.log, _ONE),
    "math.log1p": (ops.log1p, _ONE),
    "math.sqrt": (ops.sqrt, _ONE),
    "math.rsqrt": (ops.rsqrt, _ONE),
    "math.square": (ops.square, _ONE),
    "math.reciprocal": (ops.reciprocal, _ONE),
    "math.erf": (ops.erf, _ONE),
    "math.sin": (ops.sin, _ONE),
    "math.cos": (ops.cos, _ONE),
    "math.floor": (ops.floor, _ONE),
    "math.ceil": (ops.ceil, _ONE),
    "math.round": (ops.round, _ONE),
    "math.sign": (ops.sign, _ONE),
    "math.sigmoid": (ops.sigmoid, _ONE),
    "math.tanh": (ops.tanh, _ONE),
    "math.softplus": (ops.softplus, _FEATURES),
    "nn.relu": (ops.relu, _FEATURES),
    "nn.relu6": (ops.relu6, _FEATURES),
    "nn.elu": (ops.elu, _FEATURES),
    "nn.selu": (ops.selu, _FEATURES),
    "nn.silu": (ops.silu, _FEATURES),
    "nn.softsign": (ops.softsign, _FEATURES),
    "nn.gelu": (ops.gelu, {"features": "x", "approximate": "approximate"}),
    "nn.leaky_relu": (ops.leaky_relu, {"features": "x", "alpha": "negative_slope"}),
    "nn.softmax": (ops.softmax, _LOGITS),
    "nn.log_softmax": (ops.log_softmax, _LOGITS),
    "nn.bias_add": (ops.add, {"value": "x1", "bias": "x2"}),
    "math.reduce_mean": (ops.mean, _REDUCE),
    "math.reduce_sum": (ops.sum, _REDUCE),
    "math.reduce_max": (ops.max, _REDUCE),
    "math.reduce_min": (ops.min, _REDUCE),
    "math.reduce_prod": (ops.prod, _REDUCE),
    "math.reduce_std": (ops.std, _REDUCE),
    "math.reduce_variance": (ops.var, _REDUCE),
    "math.argmax": (lambda x, axis=0: ops.argmax(x, axis), {"input": "x", "axis": "axis"}),
    "math.cumsum": (ops.cumsum, {"x": "x", "axis": "axis"}),
    "math.l2_normalize": (ops.normalize, {"x": "x", "axis": "axis", "epsilon": "epsilon"}),
    "cast": (ops.cast, {"x": "x", "dtype": "dtype"}),
    "clip_by_value": (
        ops.clip,
        {"t": "x", "clip_value_min": "x_min", "clip_value_max": "x_max"},
    ),
    "concat": (ops.concatenate, {"values": "xs", "axis": "axis"}),
    "stop_gradient": (ops.stop_gradient, {"input": "variable"}),
    "stack": (ops.stack, {"values": "x", "axis": "axis"}),
    "split": (_split, {"value": "value", "num_or_size_splits": "sizes", "axis": "axis"}),
    "unstack": (ops.unstack, {"value": "x", "num": "num", "axis": "axis"}),
    "reshape": (_reshape, {"tensor": "x", "shape": "shape"}),
    "shape": (lambda x, kind=None: tuple(x.shape), {"input": "x", "out_type": "kind"}),
    "transpose": (ops.transpose, {"a": "x", "perm": "axes"}),
    "expand_dims": (ops.expand_dims, {"input": "x", "axis": "axis"}),
    "squeeze": (ops.squeeze, {"input": "x", "axis": "axis"}),
    "tile": (ops.tile, {"input": "x", "multiples": "repeats"}),
    "repeat": (ops.repeat, {"input": "x", "repeats": "repeats", "axis": "axis"}),
    "broadcast_to": (ops.broadcast_to, {"input": "x", "shape": "shape"}),
    "pad": (_pad, {"tensor": "x", "paddings": "paddings", "mode": "mode", "constant_values": "constant"}),
    "where": (ops.where, {"condition": "condition", "x": "x1", "y": "x2"}),
    "gather": (
        lambda x, indices, axis=0: ops.take(x, indices, axis),
        {"params": "x", "indices": "indices", "axis": "axis"},
    ),
    "zeros_like": (ops.zeros_like, {"input": "x"}),
    "ones_like": (ops.ones_like, {"input": "x"}),
    "identity": (lambda x: x, {"input": "x"}),
    "linalg.matmul": (
        _matmul,
        {"a": "a", "b": "b", "transpose_a": "transpose_a", "transpose_b": "transpose_b"},
    ),
}
