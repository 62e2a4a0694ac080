"""Whether a value is a model of Keras 3, and the way out where it is not."""

import os
from typing import Any

import keras


def is_keras2(value: Any) -> bool:
    """Whether a value is a model of Keras 2, without importing Keras 2."""
    return any(
        base.__name__ == "Model" and base.__module__.startswith("tf_keras.") for base in type(value).__mro__
    )


def check_keras_model(model: Any, argument: str = "'model' argument") -> None:
    """Raises unless a value is a model of Keras 3.

    Args:
        model: the value.
        argument: what it was given for, in the message.

    Raises:
        TypeError: it is something else. Models of Keras 2 are told by their full name: the classes have the same ones.

    >>> check_keras_model("net.keras")
    Traceback (most recent call last):
    TypeError: The 'model' argument must be a Keras 3 model. Got str instead. Load a saved one with ...
    """
    if isinstance(model, keras.Model):
        return
    raise TypeError(f"The {argument} must be a Keras 3 model. Got {_name(model)} instead. {_way_out(model)}")


class FitCallback(keras.callbacks.Callback):
    """A callback for `fit` of Keras 3 alone.

    Keras 2 calls methods of callbacks that those of Keras 3 do not have; `set_model` comes before them.
    """

    def set_model(self, model: Any) -> None:
        """Keep the model that trains.

        Raises:
            TypeError: it is none of Keras 3.
        """
        check_keras_model(model, f"model that trains with {type(self).__name__}")
        super().set_model(model)


def _name(value: Any) -> str:
    kind = type(value)
    return kind.__name__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__name__}"


def _way_out(value: Any) -> str:
    if is_keras2(value):
        return "It is a model of Keras 2 (tf_keras): make it one of Keras 3 with tfopt.legacy.from_keras2(model)."
    if isinstance(value, keras.Layer):
        return "Put the layer into a model: keras.Sequential([keras.Input(shape), layer])."
    if isinstance(value, (str, os.PathLike)):
        return "Load a saved one with keras.saving.load_model(path)."
    return "Pass what keras.Model, keras.Sequential or keras.saving.load_model returns."
