"""Nodes of TensorFlow's graphs and the functions of `keras.ops` that do the same."""

import functools
from collections.abc import Callable
from typing import Any

import numpy as np
from keras import layers, ops

from tfopt.graph._tensorflow_functions import FUNCTIONS

# Operation -> the function of `tf` that makes it from the same inputs.
_SAME = {
    "Abs": "math.abs",
    "Add": "math.add",
    "AddV2": "math.add",
    "BiasAdd": "nn.bias_add",
    "Ceil": "math.ceil",
    "Cos": "math.cos",
    "Elu": "nn.elu",
    "Equal": "math.equal",
    "Erf": "math.erf",
    "Exp": "math.exp",
    "Floor": "math.floor",
    "FloorDiv": "math.floordiv",
    "FloorMod": "math.floormod",
    "Greater": "math.greater",
    "GreaterEqual": "math.greater_equal",
    "Identity": "identity",
    "Less": "math.less",
    "LessEqual": "math.less_equal",
    "Log": "math.log",
    "Log1p": "math.log1p",
    "LogSoftmax": "nn.log_softmax",
    "LogicalAnd": "math.logical_and",
    "LogicalNot": "math.logical_not",
    "LogicalOr": "math.logical_or",
    "Maximum": "math.maximum",
    "Minimum": "math.minimum",
    "Mul": "math.multiply",
    "Neg": "math.negative",
    "NotEqual": "math.not_equal",
    "OnesLike": "ones_like",
    "Pow": "math.pow",
    "RealDiv": "math.truediv",
    "Reciprocal": "math.reciprocal",
    "Relu": "nn.relu",
    "Relu6": "nn.relu6",
    "Rsqrt": "math.rsqrt",
    "SelectV2": "where",
    "Selu": "nn.selu",
    "Sigmoid": "math.sigmoid",
    "Sign": "math.sign",
    "Sin": "math.sin",
    "Softmax": "nn.softmax",
    "Softplus": "math.softplus",
    "Softsign": "nn.softsign",
    "Sqrt": "math.sqrt",
    "Square": "math.square",
    "SquaredDifference": "math.squared_difference",
    "StopGradient": "stop_gradient",
    "Sub": "math.subtract",
    "Tanh": "math.tanh",
    "ZerosLike": "zeros_like",
}


def _ints(array: Any) -> Any:
    values = np.asarray(array)
    return int(values) if values.ndim == 0 else tuple(map(int, values))


def _reduce(function: Callable[..., Any]) -> Callable[..., Any]:
    return lambda node, x, axis: function(x, axis=_ints(axis), keepdims=node.attr["keep_dims"].b)


def _matmul(left: str, right: str) -> Callable[..., Any]:
    """A product whose factors may be turned, as the attributes of these names say."""

    def multiply(node: Any, a: Any, b: Any) -> Any:
        turn = lambda x, name: ops.swapaxes(x, -1, -2) if node.attr[name].b else x  # noqa: E731
        return ops.matmul(turn(a, left), turn(b, right))

    return multiply


def _strided_slice(node: Any, x: Any, begin: Any, end: Any, strides: Any) -> Any:
    """`x[begin:end:stride]` along the first axes, with a bit for each axis in the masks."""
    bits = {
        name: node.attr[f"{name}_mask"].i for name in ("begin", "end", "ellipsis", "new_axis", "shrink_axis")
    }
    picked: list[Any] = []
    for axis, (first, last, step) in enumerate(zip(_ints(begin), _ints(end), _ints(strides), strict=True)):
        has = {name: bool(mask >> axis & 1) for name, mask in bits.items()}
        if has["ellipsis"] or has["new_axis"] or has["shrink_axis"]:
            picked.append(Ellipsis if has["ellipsis"] else None if has["new_axis"] else first)
        else:
            picked.append(slice(None if has["begin"] else first, None if has["end"] else last, step))
    return x[tuple(picked)]


def _pool(layer: type[layers.Layer]) -> Callable[..., Any]:
    def pool(node: Any, x: Any) -> Any:
        size, strides = (tuple(node.attr[name].list.i)[1:3] for name in ("ksize", "strides"))
        return layer(size, strides, _text(node, "padding").lower())(x)

    return pool


def _text(node: Any, name: str) -> str:
    return node.attr[name].s.decode()


def _resize(method: str) -> Callable[..., Any]:
    def resize(node: Any, x: Any, size: Any) -> Any:
        if not node.attr["half_pixel_centers"].b:
            raise NotImplementedError("corners aligned as TensorFlow 1 did")
        return ops.image.resize(x, _ints(size), interpolation=method)

    return resize


def _gather(node: Any, x: Any, indices: Any, axis: Any) -> Any:
    if node.attr["batch_dims"].i:
        raise NotImplementedError("indices for each sample")
    return ops.take(x, indices, axis=_ints(axis))


def _cast(node: Any, x: Any) -> Any:
    import tensorflow as tf

    return ops.cast(x, tf.as_dtype(node.attr["DstT"].type).name)


def _convolution(node: Any, x: Any, kernel: Any) -> Any:
    strides, dilations = (tuple(node.attr[name].list.i)[1:3] for name in ("strides", "dilations"))
    padding = _text(node, "padding").lower()
    if padding == "explicit" or _text(node, "data_format") != "NHWC":
        raise NotImplementedError("channels first, or padding of its own")
    return ops.conv(x, kernel, strides, padding, dilation_rate=dilations)


# Other operations -> functions of the definition and the inputs.
_OTHERS: dict[str, Callable[..., Any]] = {
    "AddN": lambda node, *inputs: functools.reduce(ops.add, inputs),
    "ArgMax": lambda node, x, axis: ops.argmax(x, axis=_ints(axis)),
    "AvgPool": _pool(layers.AveragePooling2D),
    "BatchMatMulV2": _matmul("adj_x", "adj_y"),
    "Cast": _cast,
    "ConcatV2": lambda node, *inputs: ops.concatenate(inputs[:-1], axis=_ints(inputs[-1])),
    "Conv2D": _convolution,
    "DepthToSpace": lambda node, x: ops.depth_to_space(x, node.attr["block_size"].i),
    "Einsum": lambda node, *inputs: ops.einsum(_text(node, "equation"), *inputs),
    "ExpandDims": lambda node, x, axis: ops.expand_dims(x, _ints(axis)),
    "GatherV2": _gather,
    "LeakyRelu": lambda node, x: ops.leaky_relu(x, node.attr["alpha"].f),
    "MatMul": _matmul("transpose_a", "transpose_b"),
    "Max": _reduce(ops.max),
    "MaxPool": _pool(layers.MaxPooling2D),
    "Mean": _reduce(ops.mean),
    "Min": _reduce(ops.min),
    "MirrorPad": lambda node, x, pads: ops.pad(x, tuple(map(_ints, pads)), mode=_text(node, "mode").lower()),
    "Pack": lambda node, *inputs: ops.stack(inputs, axis=node.attr["axis"].i),
    "Pad": lambda node, x, pads: ops.pad(x, tuple(map(_ints, pads))),
    "PadV2": lambda node, x, pads, value: ops.pad(x, tuple(map(_ints, pads)), constant_values=float(value)),
    "Prod": _reduce(ops.prod),
    "Reshape": lambda node, x, shape: ops.reshape(x, _ints(shape)),
    "ResizeBilinear": _resize("bilinear"),
    "ResizeNearestNeighbor": _resize("nearest"),
    "ReverseV2": lambda node, x, axes: ops.flip(x, axis=_ints(axes)),
    "SpaceToDepth": lambda node, x: ops.space_to_depth(x, node.attr["block_size"].i),
    "Split": lambda node, axis, x: ops.split(x, node.attr["num_split"].i, axis=_ints(axis)),
    "SplitV": lambda node, x, sizes, axis: ops.split(x, np.cumsum(sizes)[:-1].tolist(), axis=_ints(axis)),
    "Squeeze": lambda node, x: ops.squeeze(x, tuple(node.attr["squeeze_dims"].list.i) or None),
    "StridedSlice": _strided_slice,
    "Sum": _reduce(ops.sum),
    "Tile": lambda node, x, times: ops.tile(x, _ints(times)),
    "Transpose": lambda node, x, order: ops.transpose(x, _ints(order)),
    "Unpack": lambda node, x: ops.unstack(x, axis=node.attr["axis"].i),
}
OPERATIONS = frozenset((*_SAME, *_OTHERS))


def node_function(node: Any) -> Callable[..., Any] | None:
    """The function of the inputs of a node that does in `keras.ops` what the node does; None where none is known.

    Args:
        node: a `tf.compat.v1.NodeDef`. What is data there, such as the axes of a sum, must come as numbers.
    """
    if node.op in _OTHERS:
        return functools.partial(_OTHERS[node.op], node)
    if node.op not in _SAME:
        return None
    function, names = FUNCTIONS[_SAME[node.op]]
    return lambda *values: function(**dict(zip(names.values(), values, strict=False)))
