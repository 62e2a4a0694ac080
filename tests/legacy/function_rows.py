"""A row for each TensorFlow function that may stand between layers; see `convert_rows`."""

from collections.abc import Callable
from typing import Any

import numpy as np

# TensorFlow functions between layers, of two tensors (6, 4).
FUNCTIONS: dict[str, Callable[[Any, Any, Any], Any]] = {
    "x + 1": lambda tf, x, y: x + 1,
    "1 - x": lambda tf, x, y: 1 - x,
    "x * y": lambda tf, x, y: x * y,
    "x / 2": lambda tf, x, y: x / 2,
    "x // 2": lambda tf, x, y: x // 2,
    "x % 2": lambda tf, x, y: x % 2.0,
    "-x ** 2": lambda tf, x, y: -(x**2),
    "abs": lambda tf, x, y: abs(x),
    "x > y": lambda tf, x, y: tf.where(x > y, x, y),
    "x == y": lambda tf, x, y: tf.cast((x == y) | (x != y), "float32"),
    "x @ y": lambda tf, x, y: tf.matmul(x, y, transpose_b=True),
    "array * x": lambda tf, x, y: tf.constant([1.0, 2.0, 3.0, 4.0]) * x,
    "slices": lambda tf, x, y: x[:, 1:-1:2, ..., None],
    "x[..., 0]": lambda tf, x, y: x[..., 0],
    **{
        f"tf.{name}": lambda tf, x, y, name=name: _of(tf, name)(x)
        for name in (
            *(
                "nn.relu",
                "nn.relu6",
                "nn.elu",
                "nn.selu",
                "nn.silu",
                "nn.softsign",
                "nn.gelu",
                "nn.leaky_relu",
            ),
            *(
                "nn.softmax",
                "nn.log_softmax",
                "sigmoid",
                "tanh",
                "math.softplus",
                "exp",
                "square",
                "sign",
                "round",
            ),
            *("floor", "math.ceil", "sin", "cos", "math.erf", "identity", "stop_gradient", "zeros_like"),
            *("ones_like", "reduce_mean", "math.reciprocal"),
        )
    },
    **{
        f"tf.{name} of positive": lambda tf, x, y, name=name: _of(tf, name)(tf.abs(x) + 1.0)
        for name in ("sqrt", "math.log", "math.rsqrt", "math.log1p")
    },
    **{
        f"tf.{name} over an axis": lambda tf, x, y, name=name: _of(tf, name)(x, axis=1)
        for name in (
            *(
                "reduce_sum",
                "reduce_max",
                "reduce_min",
                "reduce_prod",
                "math.reduce_std",
                "math.reduce_variance",
            ),
            *("argmax", "cumsum", "math.l2_normalize", "expand_dims"),
        )
    },
    "tf.clip_by_value": lambda tf, x, y: tf.clip_by_value(x, -1.0, 1.0),
    "tf.maximum": lambda tf, x, y: tf.maximum(x, tf.minimum(y, 0.1)),
    "tf.math.squared_difference": lambda tf, x, y: tf.math.squared_difference(x, y),
    "tf.concat": lambda tf, x, y: tf.concat([x, y], axis=-1),
    "tf.stack": lambda tf, x, y: tf.stack([x, y], axis=1),
    "tf.split": lambda tf, x, y: tf.split(x, 2, axis=1),
    "tf.split, sizes": lambda tf, x, y: tf.split(x, [1, 3, 2], axis=1),
    "tf.unstack": lambda tf, x, y: tf.unstack(x, axis=1),
    "tf.reshape": lambda tf, x, y: tf.reshape(x, (-1, 8, 3)),
    "tf.reshape, tf.shape": lambda tf, x, y: tf.reshape(x, (tf.shape(x)[0], 24)),
    "tf.transpose": lambda tf, x, y: tf.transpose(x, (0, 2, 1)),
    "tf.squeeze": lambda tf, x, y: tf.squeeze(x[:, :1], axis=1),
    "tf.tile": lambda tf, x, y: tf.tile(x, (1, 2, 1)),
    "tf.repeat": lambda tf, x, y: tf.repeat(x, 2, axis=1),
    "tf.pad": lambda tf, x, y: tf.pad(x, [[0, 0], [1, 2], [0, 0]], constant_values=3.0),
    "tf.pad, reflect": lambda tf, x, y: tf.pad(x, [[0, 0], [1, 2], [0, 0]], mode="REFLECT"),
    "tf.gather": lambda tf, x, y: tf.gather(x, [2, 0], axis=1),
    "tf.gather, first axis": lambda tf, x, y: tf.gather(x, [0, 0]),
    "tf.argmax, first axis": lambda tf, x, y: tf.argmax(x),
    "two products": lambda tf, x, y: tf.matmul(x, tf.matmul(x, y, transpose_a=True), transpose_b=True),
    "tf.nn.bias_add": lambda tf, x, y: tf.nn.bias_add(x, [1.0, 2.0, 3.0, 4.0]),
}

# Operations as TensorFlow 2.0 to 2.3 kept them: the kind, the constant inputs by their place, and attributes.
NODES: dict[str, tuple[str, dict[int, Any], dict[str, Any]]] = {
    "AddV2": ("AddV2", {1: 1.5}, {}),
    "Sub, from a constant": ("Sub", {0: [1.0, 2.0, 3.0, 4.0]}, {}),
    "Relu": ("Relu", {}, {}),
    "LeakyRelu": ("LeakyRelu", {}, {"alpha": 0.1}),
    "Mean": ("Mean", {1: [1]}, {"keep_dims": True}),
    "Reshape": ("Reshape", {1: [-1, 8, 3]}, {}),
    "Transpose": ("Transpose", {1: [0, 2, 1]}, {}),
    "ExpandDims": ("ExpandDims", {1: 1}, {}),
    "Pad": ("Pad", {1: [[0, 0], [1, 0], [0, 2]]}, {}),
}


def _of(tf: Any, name: str) -> Any:
    for part in name.split("."):
        tf = getattr(tf, part)
    return tf


def node_layer(kind: str, constants: dict[int, Any], attributes: dict[str, Any]) -> Any:
    """A layer as it is in files of TensorFlow 2.0 to 2.3."""
    import tensorflow as tf
    from tf_keras.src.engine.base_layer import TensorFlowOpLayer

    node = tf.compat.v1.NodeDef(name="node", op=kind, input=["a"] * (1 + len(constants)))
    node.attr["T"].type = tf.float32.as_datatype_enum
    arrays = {place: np.asarray(value) for place, value in constants.items()}
    arrays = {place: a.astype("int32" if a.dtype.kind == "i" else "float32") for place, a in arrays.items()}
    for place, key in {"Mean": "Tidx", "Reshape": "Tshape", "Transpose": "Tperm"}.items():
        if kind == place:
            node.attr[key].type = tf.int32.as_datatype_enum
    if kind in ("ExpandDims", "Pad"):
        node.attr["Tdim" if kind == "ExpandDims" else "Tpaddings"].type = tf.int32.as_datatype_enum
    for key, value in attributes.items():
        setattr(node.attr[key], "b" if isinstance(value, bool) else "f", value)
    return TensorFlowOpLayer(node.SerializeToString(), "node", arrays)
