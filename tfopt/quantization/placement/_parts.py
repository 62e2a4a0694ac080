"""The layers that an operation comes apart into."""

from typing import Any

import keras
from keras import layers


def shared_grid(op: keras.Operation) -> str:
    """The name of the grid that all calls of an operation write on; "" where each call has its own."""
    return getattr(op, "shared_grid", "")


class Parts:
    """Makes the layers that an operation comes apart into, named after it, each once for all its calls.

    Args:
        op: the operation.
        repeated: whether all calls of a part, which are the steps of a recurrent layer, write on one grid.
    """

    def __init__(self, op: keras.Operation, repeated: bool = False) -> None:
        self.op = op
        self.repeated = repeated or bool(shared_grid(op))
        self.made: dict[str, layers.Layer] = {}

    def __call__(self, part: str, layer_class: type[layers.Layer], *args: Any, **kwargs: Any) -> layers.Layer:
        """The layer `layer_class(*args, **kwargs)` under the name of the operation and of its part."""
        if part not in self.made:
            name = f"{self.op.name}_{part}" if part else self.op.name
            policy = getattr(self.op, "dtype_policy", None)
            self.made[part] = layer_class(*args, **kwargs, name=name, dtype=policy)
            if self.repeated:
                self.made[part].shared_grid = self.grid_of(part)
        return self.made[part]

    def grid_of(self, part: str) -> str:
        """The name of the grid that all calls of a repeated part write on."""
        return f"{id(self.op)}/{part}"

    def affine(self, part: str, x: Any, scale: float, offset: float = 0.0) -> Any:
        """`x * scale + offset`."""
        return self(part, layers.Rescaling, scale, offset)(x)

    def activation(self, name: str, x: Any, part: str = "") -> Any:
        """An activation of `keras.activations`."""
        return self(part or name, layers.Activation, name)(x)

    def add(self, part: str, *tensors: Any) -> Any:
        """A sum of two tensors."""
        return self(part, layers.Add)(list(tensors))

    def product(self, part: str, *tensors: Any) -> Any:
        """A product of two tensors, one of several in the operation."""
        return self(part, layers.Multiply)(list(tensors))

    def times(self, *tensors: Any) -> Any:
        """A product of two tensors."""
        return self("times", layers.Multiply)(list(tensors))
