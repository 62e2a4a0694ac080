"""The Keras 3 class of a Keras 2 class."""

import sys
from typing import Any

import keras

# Modules whose classes appear in configs.
_MODULES = ("layers", "initializers", "regularizers", "constraints")


def keras3_class(old: type) -> Any:
    """The Keras 3 class for a Keras 2 class; None if there is none.

    Args:
        old: a class of `tf_keras`, or a custom one: then a class is found that is registered with Keras 3, by
            `keras.saving.register_keras_serializable` or a `custom_object_scope`, under the same name.

    Returns:
        A class, or None.
    """
    registered = getattr(sys.modules.get("tf_keras"), "saving", None)
    name = registered.get_registered_name(old) if registered else old.__name__
    found = keras.saving.get_registered_object(name)
    if found is None and old.__module__.startswith("tf_keras."):
        if ".applications." in old.__module__:
            return _of_applications(old.__name__)
        found = _exported(keras, old.__name__)
    return found


def keras2_class(name: str) -> Any:
    """The class of `tf_keras` that a config names; None if there is none."""
    return _exported(sys.modules.get("tf_keras"), name)


def _exported(package: Any, name: str) -> Any:
    places = [getattr(package, module, None) for module in _MODULES]
    return next((getattr(place, name) for place in places if hasattr(place, name)), None)


def _of_applications(name: str) -> Any:
    """A layer that Keras 3 defines beside the network that uses it, such as ConvNeXt's LayerScale."""
    builders = [item for item in vars(keras.applications).values() if hasattr(item, "__path__")]
    functions = [one for module in builders for one in vars(module).values() if callable(one)]
    modules = {function.__module__ for function in functions if hasattr(function, "__module__")}
    found = (getattr(sys.modules.get(module), name, None) for module in sorted(modules))
    return next((one for one in found if one is not None), None)
