"""The mixin that makes a layer sum up whole numbers in inference, as the integer kernels do."""

import inspect
from typing import Any

from keras import ops

from tfopt._untracked import Untracked
from tfopt.quantization.simulation._quantized_weights import QuantizedWeights


class IntegerAccumulation(QuantizedWeights):
    """Mixin before a layer that sums products of its inputs and its kernel, and adds a bias.

    A float32 convolution of real numbers rounds each product. After some thousand of them the error comes near half
    a unit of an integer kernel's sum, and a code may flip. Products of codes are whole numbers, their sums exact
    up to `2**24`; so in inference the layer computes

    `activation((sum(input_codes * weight_codes) + bias / unit) * unit)`, `unit = input_step * weight_step`

    Training keeps to real numbers, which cost less. So does a layer in 16 bits of float, whose sums would overflow.
    """

    @classmethod
    def read_names(cls) -> tuple[str, ...]:
        return (*cls.weight_names, "bias", "activation")

    @classmethod
    def call_signature(cls) -> inspect.Signature:
        """That of the stock layer, with `training`, which Keras passes to layers that take it."""
        signature = super().call_signature()
        if "training" in signature.parameters:
            return signature
        training = inspect.Parameter("training", inspect.Parameter.KEYWORD_ONLY, default=None)
        return signature.replace(parameters=[*signature.parameters.values(), training])

    _input: Untracked = Untracked(None)

    def set_input(self, source: Any) -> None:
        """Names the quantizer of the inputs; None where the layer is called on several grids."""
        self._input = Untracked(source)

    def operands(
        self: Any, args: tuple[Any, ...], training: bool | None
    ) -> tuple[tuple[Any, ...], dict[str, Any]]:
        source = self._input.value
        first = getattr(self, "data_format", None) == "channels_first"
        if training or source is None or not args or first or self.compute_dtype != "float32":
            return super().operands(args, training)
        step = source.step()
        unit = self.along_outputs(step * ops.reshape(self.weight_step(), (-1,)))
        activation = self.activation
        in_call = {
            "kernel": self.weight_codes(),
            "activation": lambda sums: activation(sums * unit),
            "bias": None if self.bias is None else self.bias / unit,
        }
        return (ops.round(args[0] / step), *args[1:]), in_call
