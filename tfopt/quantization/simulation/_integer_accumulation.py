"""The mixin that makes a layer sum up whole numbers in inference, as the integer kernels do."""

import inspect
from collections.abc import Callable
from typing import Any

import keras

from tfopt._host_ops import ops
from tfopt._untracked import Untracked
from tfopt.kernels import once
from tfopt.quantization.simulation._fused_batch_norm import FusedBatchNormalization
from tfopt.quantization.simulation._quantized_weights import QuantizedWeights
from tfopt.quantization.simulation._recomputed import is_recomputed, recomputed


class IntegerAccumulation(QuantizedWeights):
    """Mixin before a layer that sums products of its inputs and its kernel, and adds a bias.

    A float32 convolution of real numbers rounds each product. After some thousand of them the error comes near half
    a unit of an integer kernel's sum, and a code may flip. Products of codes are whole numbers, their sums exact
    up to `2**24`; so in inference the layer computes

    `activation((sum(input_codes * weight_codes) + bias / unit) * unit)`, `unit = input_step * weight_step`

    Training keeps to real numbers, which cost less, in the type that the layer's policy asks for; inference computes
    in float32 whatever the policy, because 16 bits of float do not hold these sums.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        # Not cast by Keras: a code times its step may not fit into the 8 binary digits of a bfloat16.
        super().__init__(*args, **{"autocast": False, **kwargs})

    def add_weight(self, *args: Any, **kwargs: Any) -> keras.Variable:
        """A weight that is read as it is, for the same reason."""
        return super().add_weight(*args, **{"autocast": False, **kwargs})  # type: ignore[misc]

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

    def evaluate(self: Any, call: Callable[..., Any], args: Any, kwargs: Any, training: bool | None) -> Any:
        if not is_recomputed(self, training):
            return super().evaluate(call, args, kwargs, training)
        names = [name for name in ("kernel", "bias") if getattr(self, name) is not None]

        def sums(x: Any, *weights: Any) -> Any:
            with self.reading(dict(zip(names, weights, strict=True))):
                rounded, in_call = self.operands((x, *args[1:]), training)
            # The gradient of an activation reads what it returns, for which the product would be computed again.
            with self.reading({**in_call, "activation": keras.activations.linear}):
                return call(self, *rounded, **kwargs)

        return self.activation(recomputed(sums, args[0], *(getattr(self, name) for name in names)))

    _input: Untracked = Untracked(None)

    def set_input(self, source: Any) -> None:
        """Names the quantizer of the inputs; None where the layer is called on several grids."""
        self._input = Untracked(source)

    def _shifts_nothing(self) -> bool:
        """Whether a batch norm takes the bias out again in training: it subtracts the mean of the batch."""
        norm = self._norm.value
        return isinstance(norm, FusedBatchNormalization) and norm.reads_batch()

    def operands(
        self: Any, args: tuple[Any, ...], training: bool | None
    ) -> tuple[tuple[Any, ...], dict[str, Any]]:
        source = self._input.value
        first = getattr(self, "data_format", None) == "channels_first"
        if training or source is None or not args or first:
            args, in_call = super().operands(args, training)
            dtype = self.compute_dtype if training else "float32"
            if self.bias is not None:
                in_call["bias"] = self.bias
                if training and self._shifts_nothing():
                    in_call["kernel"], in_call["bias"] = _without_gradient(in_call["kernel"], self.bias)
            in_call = {name: ops.cast(weight, dtype) for name, weight in in_call.items()}
            return tuple(ops.cast(x, dtype) for x in args[:1]) + args[1:], in_call
        step, x = source.step(), ops.cast(args[0], "float32")
        unit, bias = self._in_units()
        activation = self.activation
        in_call = {
            "kernel": self.weight_codes(),
            "activation": lambda sums: activation(sums * unit),
            "bias": bias,
        }
        return (ops.round(x / step), *args[1:]), in_call

    def code_sums(self: Any, codes: Any, dtype: str) -> Any:
        """The sums of products of input codes and the kernel's codes, in a type that holds them all.

        Args:
            codes: whole numbers, of the shape of the layer's input.
            dtype: the type that the sums are computed in.

        Returns:
            Tensor of whole numbers, of the shape of the layer's output and of that type.
        """
        bias = None if self.bias is None else ops.zeros(self.bias.shape, dtype)
        kernel = ops.cast(self.weight_codes(), dtype)
        with self.reading({"kernel": kernel, "bias": bias, "activation": lambda sums: sums}):
            return inspect.unwrap(type(self).call)(self, ops.cast(codes, dtype))

    def compute_grids(self) -> None:
        """Computes what a call in inference reads that depends on weights alone."""
        if self._input.value is not None:
            self.weight_codes()
            self._in_units()

    @once
    def _in_units(self: Any) -> tuple[Any, Any]:
        """The real value of one unit of the sums, along the outputs, and the bias in such units."""
        unit = self.along_outputs(self._input.value.step() * ops.reshape(self.weight_step(), (-1,)))
        return unit, None if self.bias is None else self.bias / unit


def _without_gradient(kernel: Any, bias: Any) -> tuple[Any, Any]:
    """Both as they are; the gradient of the bias is 0, and not a sum over all outputs that rounds to about 0.

    Optimizers want a gradient for each variable, and Adam makes whole steps of what rounding leaves of a zero.
    """

    @ops.custom_gradient
    def tied(kernel: Any, bias: Any) -> tuple[Any, Callable[..., Any]]:
        def gradient(*args: Any, upstream: Any = None) -> Any:
            return args[0] if upstream is None else upstream, ops.zeros_like(bias)

        return kernel, gradient

    bias = ops.convert_to_tensor(bias)
    return tied(ops.convert_to_tensor(kernel), bias), ops.stop_gradient(bias)
