"""What an operation is, by one name: the key of every table that has a row per operation."""

import inspect
from typing import Any

import keras

from tfopt.graph._capture import capture
from tfopt.graph._graph import Graph, Operation, Tensor

# Operations of `keras.ops` and layers that are an activation function, by class name. Names are those
# of `keras.activations`.
_ACTIVATION_CLASSES = {
    "Celu": "celu",
    "ELU": "elu",
    "Elu": "elu",
    "Gelu": "gelu",
    "Glu": "glu",
    "HardSigmoid": "hard_sigmoid",
    "HardSilu": "hard_silu",
    "HardTanh": "hard_tanh",
    "LeakyReLU": "leaky_relu",
    "LeakyRelu": "leaky_relu",
    "LogSigmoid": "log_sigmoid",
    "LogSoftmax": "log_softmax",
    "Mish": "mish",
    "Relu": "relu",
    "Relu6": "relu6",
    "Selu": "selu",
    "Sigmoid": "sigmoid",
    "Silu": "silu",
    "SoftShrink": "soft_shrink",
    "Softmax": "softmax",
    "Softplus": "softplus",
    "Softsign": "softsign",
    "SparseSigmoid": "sparse_sigmoid",
    "Tanh": "tanh",
    "TanhShrink": "tanh_shrink",
}


def kind(op: Operation) -> str:
    """The name under which tables list an operation: its stock Keras class, or the activation that it is.

    Args:
        op: a Keras layer or `keras.ops` operation. A subclass of a stock layer counts as that layer if it
            keeps its `call`.

    Returns:
        A class name such as `"Conv2D"`, `"Add"` or `"Reshape"` (the same for the layer and the operation of
        `keras.ops`), or an activation's name such as `"relu"` for everything that computes it.

    >>> import keras
    >>> from tfopt.graph import kind
    >>> kind(keras.layers.Conv2D(1, 1)), kind(keras.layers.ReLU(6)), kind(keras.layers.Activation("tanh"))
    ('Conv2D', 'relu6', 'tanh')
    """
    if isinstance(op, keras.layers.ReLU):
        return _relu_kind(op)
    if isinstance(op, keras.layers.Activation):
        return activation_name(op) or "Activation"
    for base in type(op).__mro__:
        if base is keras.layers.Layer:
            break
        if getattr(keras.layers, base.__name__, None) is base and _computes_as(op, base):
            return _ACTIVATION_CLASSES.get(base.__name__, base.__name__)
    name = type(op).__name__
    return name if isinstance(op, keras.layers.Layer) else _ACTIVATION_CLASSES.get(name, name)


def _computes_as(op: Operation, base: type) -> bool:
    """Whether a subclass kept the stock `call`, possibly wrapped; if not, it may compute something else."""
    return inspect.unwrap(type(op).call) is inspect.unwrap(base.call)  # type: ignore[attr-defined]


def _relu_kind(layer: keras.layers.ReLU) -> str:
    if layer.threshold:
        return "ReLU"
    if layer.negative_slope:
        return "leaky_relu" if layer.max_value is None else "ReLU"
    return {None: "relu", 6.0: "relu6"}.get(layer.max_value, "ReLU")


def activation_name(op: Operation) -> str | None:
    """The name of a layer's `activation` argument.

    Args:
        op: a Keras layer or operation.

    Returns:
        The name that `keras.activations` gives the function, or None where there is no such argument or the
        function is not one of Keras' own.

    >>> import keras
    >>> from tfopt.graph import activation_name
    >>> activation_name(keras.layers.Dense(2, activation="softmax")), activation_name(keras.layers.Dense(2))
    ('softmax', 'linear')
    """
    function = getattr(op, "activation", None)
    if function is None:
        return None
    if isinstance(function, keras.layers.Layer):
        return kind(function)
    name = getattr(function, "__name__", "")
    return name if getattr(keras.activations, name, None) is function else None


# Kinds that only move or round their inputs: the search for the activation goes on before them, as it does before
# layers whose class says `keeps_values = True`.
_TRANSPARENT = {
    "Reshape",
    "Flatten",
    "Identity",
    "Dropout",
    "linear",
    "Cast",
    "Squeeze",
}


def final_activation(model: keras.Model) -> str | None:
    """The activation that makes the model's first output.

    Args:
        model: a built Keras model; nested and subclassed ones are opened.

    Returns:
        A name such as `"softmax"`, `"sigmoid"` or `"linear"` (a Dense or convolution without activation, or
        arithmetic), or None if it is not known.

    >>> import keras
    >>> from tfopt.graph import final_activation
    >>> final_activation(keras.Sequential([keras.Input((4,)), keras.layers.Dense(2, activation="softmax")]))
    'softmax'
    """
    return keras.tree.flatten(final_activations(model))[0]


def final_activations(model: keras.Model) -> Any:
    """The activation that makes each output of the model: a nest like its outputs, or a single None.

    Args:
        model: a built Keras model.

    Returns:
        Names and None, as for `final_activation`.

    >>> import keras
    >>> from tfopt.graph import final_activations
    >>> inputs = keras.Input((4,))
    >>> heads = {"box": keras.layers.Dense(4)(inputs), "kind": keras.layers.Dense(2, "softmax")(inputs)}
    >>> final_activations(keras.Model(inputs, heads))
    {'box': 'linear', 'kind': 'softmax'}
    """
    try:
        graph = capture(model)
    except (TypeError, ValueError):
        return None
    return keras.tree.map_structure(lambda tensor: _maker(graph, tensor), graph.outputs)


def _maker(graph: Graph, tensor: Tensor) -> str | None:
    producers = graph.producers
    node = producers.get(id(tensor))
    while node is not None and (getattr(node.op, "keeps_values", False) or kind(node.op) in _TRANSPARENT):
        node = producers.get(id(node.inputs[0]))
    if node is None or node.opaque:
        return None
    name = kind(node.op)
    if name in _ACTIVATION_CLASSES.values():
        return name
    return activation_name(node.op) if hasattr(node.op, "activation") else _linear_or_unknown(name)


def _linear_or_unknown(name: str) -> str | None:
    return "linear" if name in ("Add", "Subtract", "Multiply", "Matmul", "BatchNormalization") else None


def einsum_letters(op: Operation, rank: int) -> tuple[str, str, str]:
    """The letters of an EinsumDense's axes: of its input, its kernel and its output.

    Args:
        op: the layer.
        rank: the number of axes of its input; the axes of an ellipsis get capital letters.

    >>> import keras
    >>> from tfopt.graph import einsum_letters
    >>> einsum_letters(keras.layers.EinsumDense("...c,cd->...d", 8), rank=3)
    ('ABc', 'cd', 'ABd')
    """
    inputs, output = op.equation.replace(" ", "").split("->")  # type: ignore[attr-defined]
    left, right = inputs.split(",")
    dots = "".join(chr(ord("A") + i) for i in range(rank - len(left.replace("...", ""))))
    return left.replace("...", dots), right, output.replace("...", dots)
