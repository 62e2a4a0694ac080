"""The config of a Keras 2 layer, translated for Keras 3."""

import copy
import inspect
import warnings
from typing import Any

import keras

from tfopt.legacy._activations import keras2_hard_sigmoid
from tfopt.legacy._classes import keras2_class, keras3_class
from tfopt.legacy._keras2 import plain

# Keys that are not settings: the first ones describe what a layer was built for, the last one the order in which LSTM
# and GRU multiply the same matrices.
_NO_SETTINGS = frozenset(
    {"batch_input_shape", "query_shape", "key_shape", "value_shape", "input_length", "implementation"}
)
# What tfmot replaces an activation function by -> that function.
_ACTIVATIONS = {"QuantizeAwareActivation": "activation", "NoOpActivation": None}
_UNKNOWN = object()


def new_config(name: str, old: type, new: type, config: dict[str, Any]) -> dict[str, Any]:
    """A Keras 2 config without the arguments that the Keras 3 class does not know.

    An argument that Keras 3 no longer knows is dropped where it has the value that the Keras 2 class gives it by
    default: the layer computes the same without it.

    Args:
        name: the layer's name, for errors.
        old: the Keras 2 class.
        new: the Keras 3 class.
        config: what `get_config` of the Keras 2 layer returned.

    Returns:
        The config for `new.from_config`.

    Raises:
        ValueError: an argument that Keras 3 does not know has another value than its default.
    """
    config = plain(config)
    known = arguments(new)
    unknown = [key for key in config if key not in known and not _is_no_setting(key)]
    defaults = _defaults(old, config) if unknown else {}
    result = {
        key: _dtype(value) if key == "dtype" else _scalar(_translate(name, value, key), known[key])
        for key, value in config.items()
        if key in known
    }
    for key in unknown:
        if plain(defaults.get(key, _UNKNOWN)) == config[key]:
            continue
        if not _takes(new, {**result, key: config[key]}):
            default = f"; its default was {defaults[key]!r}" if key in defaults else ""
            raise ValueError(
                f"Keras 3's {new.__name__} does not know the argument '{key}', which the layer {name!r} sets to "
                f"{config[key]!r}{default}. Rebuild this layer with Keras 3 layers that do the same, or set the "
                f"argument to its default in the Keras 2 model, if it is not needed."
            )
        result[key] = config[key]
    return result


def _is_no_setting(key: str) -> bool:
    return key in _NO_SETTINGS or key.endswith("_initializer")  # the weights are copied


def _takes(new: Any, config: dict[str, Any]) -> bool:
    """Whether Keras 3 accepts an argument that is not in its signature: it still knows some old names."""
    try:
        make(new, copy.deepcopy(config))
    except Exception:
        return False
    return True


def make(new: Any, config: dict[str, Any]) -> keras.layers.Layer:
    """A Keras 3 object from its config, without the warning that an argument has a new name."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return new.from_config(config)


def arguments(owner: type, method: str = "__init__") -> dict[str, inspect.Parameter]:
    """The named arguments of a class's method, including those that it passes to its bases as `**kwargs`."""
    found: dict[str, inspect.Parameter] = {}
    for base in owner.__mro__:
        if method not in vars(base):
            continue
        parameters = inspect.signature(vars(base)[method]).parameters
        for key, one in parameters.items():
            if one.kind in (one.POSITIONAL_OR_KEYWORD, one.KEYWORD_ONLY) and key != "self":
                found.setdefault(key, one)
        if all(one.kind != one.VAR_KEYWORD for one in parameters.values()):
            break
    return found


def _defaults(old: type, config: dict[str, Any]) -> dict[str, Any]:
    """The config of a Keras 2 object that is made with its required arguments only."""
    parameters = arguments(old)
    given = {
        key: config[key] for key, one in parameters.items() if one.default is one.empty and key in config
    }
    signature = {key: one.default for key, one in parameters.items() if one.default is not one.empty}
    try:
        return {**signature, **old.from_config(copy.deepcopy(given)).get_config()}  # type: ignore[attr-defined]
    except Exception:  # some classes cannot be made from less than a full config
        return signature


def _translate(name: str, value: Any, key: str = "") -> Any:
    """Translates the values of a config: initializers, wrapped layers, cells."""
    if isinstance(value, (list, tuple)):
        return type(value)(_translate(name, item) for item in value)
    if not isinstance(value, dict):
        return _activation(value) if "activation" in key else value
    class_name, inner = value.get("class_name"), value.get("config", {})
    if class_name in _ACTIVATIONS:
        original = _ACTIVATIONS[class_name]
        return _translate(name, inner[original] if original else "linear", key)
    if not isinstance(inner, dict) or class_name is None:
        return {inside: _translate(name, item, inside) for inside, item in value.items()}
    old = keras2_class(class_name)
    new = keras3_class(old) if old else None
    if old is None or new is None:
        return value
    return {"class_name": class_name, "config": new_config(name, old, new, inner)} | (
        {"module": value["module"], "registered_name": value.get("registered_name")}
        if "module" in value
        else {}
    )


def _activation(value: Any) -> Any:
    """The Keras 2 function, where Keras 3 has another one of the same name."""
    return keras.saving.serialize_keras_object(keras2_hard_sigmoid) if value == "hard_sigmoid" else value


def _dtype(value: Any) -> Any:
    return value["config"]["name"] if isinstance(value, dict) else value


def _scalar(value: Any, parameter: inspect.Parameter) -> Any:
    """Keras 2 writes the one axis of a batch norm as a list."""
    takes_one = isinstance(parameter.default, int) and not isinstance(parameter.default, bool)
    return value[0] if takes_one and isinstance(value, (list, tuple)) and len(value) == 1 else value
