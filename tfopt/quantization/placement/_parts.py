"""The layers that an operation comes apart into."""

from typing import Any

import keras
from keras import layers

from tfopt.kernels import FAMILIES, TARGETS, FixedRange, Requantize, Rsqrt, Target

WIDE = 16

# The squared error of a root looked up, which is at most `4.35**2`, and what corrects it.
_SQUARE = (-20.0, 20.0 * 32767 / 32768)
_CORRECTION = (-2.0, 2.0 * 32767 / 32768)


def shared_grid(op: keras.Operation) -> str:
    """The name of the grid that all calls of an operation write on; "" where each call has its own."""
    return getattr(op, "shared_grid", "")


class Parts:
    """Makes the layers that an operation comes apart into, named after it, each once for all its calls.

    Args:
        op: the operation.
        target: what they will run on.
        num_bits: bits of the model's activations.
        repeated: whether all calls of a part, which are the steps of a recurrent layer, write on one grid.
    """

    def __init__(
        self,
        op: keras.Operation,
        target: Target = TARGETS["litert"],
        num_bits: int = 8,
        repeated: bool = False,
    ) -> None:
        self.op = op
        self.target = target
        self.num_bits = num_bits
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

    def times(self, *tensors: Any) -> Any:
        """A product of two tensors."""
        return self("times", layers.Multiply)(list(tensors))

    def product(self, part: str, *tensors: Any) -> Any:
        """A product of two tensors, one of several that the operation comes apart into."""
        return self(part, layers.Multiply)(list(tensors))

    def difference(self, part: str, *tensors: Any) -> Any:
        """The first tensor less the second."""
        return self(part, layers.Subtract)(list(tensors))

    @property
    def can_widen(self) -> bool:
        """Whether the target computes on 16-bit codes."""
        return WIDE in self.target.activation_bits

    def widen(self, x: Any, part: str = "widen") -> Any:
        """The same on 16-bit codes."""
        return x if self.num_bits == WIDE else self(part, Requantize, WIDE)(x)

    def narrow(self, x: Any, part: str = "narrow") -> Any:
        """The same on codes of the model's bits."""
        return x if self.num_bits == WIDE else self(part, Requantize, None)(x)

    def reciprocal_root(self, x: Any) -> Any:
        """`1 / sqrt(x)` of 16-bit codes.

        Where a kernel looks it up among 256 values, small numbers come out up to seven times too large: then what it
        gives, `r`, is corrected by `1 / sqrt(x * r * r)`, which is 1 if it is right.
        """
        near = self("rsqrt", Rsqrt)(x)
        if not FAMILIES[self.target.family].coarse_roots:
            return near
        square = self.product("root_square", self.product("root", x, near), near)
        square = self("root_square_range", FixedRange, *_SQUARE)(square)
        correction = self("correction_range", FixedRange, *_CORRECTION)(self("correction", Rsqrt)(square))
        return self.product("corrected", near, correction)
