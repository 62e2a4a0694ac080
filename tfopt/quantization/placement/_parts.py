"""The layers that an operation comes apart into."""

from typing import Any

import keras
from keras import layers


class Parts:
    """Makes the layers that an operation comes apart into, named after it, each once for all its calls."""

    def __init__(self, op: keras.Operation) -> None:
        self.op = op
        self.made: dict[str, layers.Layer] = {}

    def __call__(self, part: str, layer_class: type[layers.Layer], *args: Any, **kwargs: Any) -> layers.Layer:
        """The layer `layer_class(*args, **kwargs)` under the name of the operation and of its part."""
        if part not in self.made:
            name = f"{self.op.name}_{part}" if part else self.op.name
            policy = getattr(self.op, "dtype_policy", None)
            self.made[part] = layer_class(*args, **kwargs, name=name, dtype=policy)
        return self.made[part]

    def affine(self, part: str, x: Any, scale: float, offset: float = 0.0) -> Any:
        """`x * scale + offset`."""
        return self(part, layers.Rescaling, scale, offset)(x)

    def activation(self, name: str, x: Any, part: str = "") -> Any:
        """An activation of `keras.activations`."""
        return self(part or name, layers.Activation, name)(x)

    def add(self, part: str, *tensors: Any) -> Any:
        """A sum of two tensors."""
        return self(part, layers.Add)(list(tensors))

    def times(self, *tensors: Any) -> Any:
        """A product of two tensors."""
        return self("times", layers.Multiply)(list(tensors))
