"""Copies of layers and operations, for a model of their own."""

import inspect
from collections.abc import Callable
from typing import Any

import keras

from tfopt.graph._graph import Operation

# What Keras adds to the config of a class without a `get_config`, whether or not its constructor takes it.
_ADDED = ("dtype", "name", "trainable")


def clone_operation(op: Operation, name: str | None = None, dtype: str | None = None) -> Operation:
    """A fresh copy of a layer or operation, made from its config; its weights are not built yet.

    Args:
        op: a Keras layer or `keras.ops` operation.
        name: the copy's name; the same name by default. A class without `get_config` whose constructor takes no name
            gets one from Keras.
        dtype: the copy's dtype; the same by default.

    Returns:
        An object of the same class.

    Raises:
        ValueError: the class cannot be made from its own config.

    >>> import keras
    >>> from tfopt.graph import clone_operation
    >>> clone_operation(keras.layers.Dense(3, name="a"), name="b")
    <Dense name=b, built=False>
    """
    changes = {key: one for key, one in (("name", name), ("dtype", dtype)) if one is not None}
    try:
        return _COPIES.get(type(op), _from_config)(op, changes)
    except Exception as error:
        if not isinstance(op, keras.layers.Layer):
            return op  # an operation without state can serve two models
        raise ValueError(
            f"{op.name!r} ({type(op).__name__}) cannot be copied from its config: {_first_line(error)} "
            "Give the class a 'get_config' method that returns every argument of its constructor."
        ) from error


def _from_config(op: Operation, changes: dict[str, str]) -> Operation:
    config = {**op.get_config(), **changes}
    if type(op).get_config is not keras.layers.Layer.get_config or not isinstance(op, keras.layers.Layer):
        return type(op).from_config(config)
    taken = inspect.signature(type(op).__init__).parameters
    if any(one.kind is inspect.Parameter.VAR_KEYWORD for one in taken.values()):
        return type(op).from_config(config)
    return type(op)(**{key: value for key, value in config.items() if key in taken or key not in _ADDED})


def _lambda(op: Any, changes: dict[str, str]) -> Operation:
    """A Lambda of the same function, which is at hand: Keras makes none from its bytes unless it is told to."""
    shape = op.compute_output_shape
    settings = {"name": op.name, "dtype": op.dtype_policy, **changes}
    return keras.layers.Lambda(op.function, shape, op.mask, op.arguments, **settings)


# Class -> how its layers are copied, where that is not from their config.
_COPIES: dict[type, Callable[[Any, dict[str, str]], Operation]] = {keras.layers.Lambda: _lambda}


def _first_line(error: Exception) -> str:
    text = (str(error).strip().splitlines() or [type(error).__name__])[0]
    return text if text.endswith(".") else text + "."
