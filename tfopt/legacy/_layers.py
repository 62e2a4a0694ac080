"""One Keras 3 layer for one Keras 2 layer, and how it is called."""

from collections.abc import Callable
from typing import Any

import keras

from tfopt._keras_model import is_keras2
from tfopt.legacy._classes import keras3_class
from tfopt.legacy._configs import arguments, make, new_config
from tfopt.legacy._keras2 import is_a, plain


def new_layer(old: Any, convert: Callable[[Any], keras.Model]) -> keras.layers.Layer:
    """A Keras 3 layer made with the same arguments as a Keras 2 layer; its weights are not built yet.

    Args:
        old: a layer of Keras 2.
        convert: makes a Keras 3 model from a Keras 2 one, for a layer that wraps a model.

    Raises:
        ValueError: Keras 3 has no such layer, or does not know an argument of it.
    """
    new = keras3_class(type(old))
    if new is None:
        raise ValueError(
            f"Keras 3 has no layer for {old.name!r}, a {type(old).__module__}.{type(old).__name__}. Expected a stock "
            f"layer. Write the layer for Keras 3, and register it under the same name: "
            f"@keras.saving.register_keras_serializable(package=...), or keras.saving.custom_object_scope."
        )
    config = new_config(old.name, type(old), new, _config(old, convert))
    if "name" in config:
        config["name"] = config["name"].replace("/", "_")
    try:
        return make(new, config)
    except Exception as error:
        raise ValueError(
            f"Keras 3 cannot make the layer {old.name!r} ({new.__name__}) from its config: {error} Rebuild it with "
            "Keras 3 layers, and copy the weights with set_weights."
        ) from error


def _config(old: Any, convert: Callable[[Any], keras.Model]) -> dict[str, Any]:
    values = {key: getattr(old, key, None) for key in arguments(type(old))}
    for key, value in values.items():
        if getattr(value, "__name__", "") == "<lambda>":
            raise ValueError(
                f"The layer {old.name!r} holds a lambda as its '{key}', which Keras 3 may not run in the "
                "same way. Expected a stock function. Call TensorFlow functions after the layer in the Keras 2 model."
            )
    models = {key: convert(value) for key, value in values.items() if is_keras2(value)}
    serialized = {key: keras.saving.serialize_keras_object(model) for key, model in models.items()}
    return {**old.get_config(), **_learned(old), **serialized}


def _learned(old: Any) -> dict[str, Any]:
    """What `adapt` learned from data and did not store in a weight."""
    if hasattr(old, "get_vocabulary"):
        return {"vocabulary": old.get_vocabulary(include_special_tokens=False) or None}
    if is_a(old, "Discretization"):
        return {"bin_boundaries": plain(old.bin_boundaries), "num_bins": None}
    return {}


def call_arguments(
    old: Any, new: keras.layers.Layer, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """The arguments of a call as Keras 3 takes them.

    Args:
        old: the Keras 2 layer.
        new: its counterpart.
        args: what Keras 2 was called with, its tensors replaced.
        kwargs: likewise.

    Raises:
        ValueError: Keras 3 does not know an argument that has another value than its default.
    """
    if (is_a(old, "RNN") or is_a(old, "Bidirectional")) and isinstance(args[0], list):
        # Keras 2 appends the initial states to the inputs.
        sequence, *states = args[0]
        args, kwargs = (sequence, *args[1:]), {**kwargs, "initial_state": states}
    known, defaults = arguments(type(new), "call"), arguments(type(old), "call")
    for key in kwargs.keys() - known.keys():
        default = defaults[key].default if key in defaults else None
        if kwargs[key] is not None and kwargs[key] is not default:
            raise ValueError(
                f"The layer {old.name!r} is called with {key}={kwargs[key]!r}, which Keras 3's "
                f"{type(new).__name__} does not take. Call it without that argument in the Keras 2 model."
            )
    return args, {key: value for key, value in kwargs.items() if key in known}
