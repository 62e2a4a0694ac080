"""What conversion and runtimes ask of a quantized model and of its layers; `tfopt.quantization` answers."""

from collections.abc import Iterable
from typing import Any

from tfopt.kernels._weight_grids import WeightGrid


class IntegerModel:
    """A model that computes on integer grids.

    Attributes:
        name: the model's.
        target: the runtime whose kernels it computes as, a key of `TARGETS`.
        placed: what was done to each layer when the model was quantized: has `layers`, rows with the `path` of the
            user's layer and the names of its `weights` and `quantizer`; None where that is not known.
        pack_weights: whether codes of four bits or fewer are stored two to a byte, where kernels read that.
    """

    name: str
    target: str = "litert"
    placed: Any = None
    pack_weights: bool = True

    def stored(self) -> dict[str, list[tuple[Any, Any]]]:
        """Of each layer with weights, by name: the step of the weights and the rounded bias, a pair for each kernel.

        A layer has several where it is called on several grids, or before several batch norms.
        """
        raise NotImplementedError


class IntegerWeights:
    """Mixin of a layer whose first weight is on a grid.

    Attributes:
        name: the layer's.
        grid: the grid of its weights.
    """

    name: str
    grid: WeightGrid

    def weight_codes(self) -> Any:
        """The code number of the first weight: whole numbers, as float32."""
        raise NotImplementedError


class IntegerActivations:
    """Mixin of a layer that rounds activations to codes.

    Attributes:
        num_bits: bits of a code.
    """

    num_bits: int


def activation_bits(layers: Iterable[Any]) -> int:
    """Bits of the activations of a model with these layers, in their order; 8 where none of them rounds any.

    Other bits stand behind a `Requantize`, and the first layer does not.
    """
    return next((layer.num_bits for layer in layers if isinstance(layer, IntegerActivations)), 8)


def target_of(model: Any) -> str:
    """The target that a model was quantized for, a key of `TARGETS`; `"litert"` for other models."""
    return model.target if isinstance(model, IntegerModel) else "litert"
