"""Stock Keras layers whose kernel reads through a fake quantizer while they are called."""

import inspect
import math
from typing import Any, TypeVar

import keras
from keras import ops

from tfopt.graph import einsum_axes
from tfopt.quantization.simulation._integer_accumulation import IntegerAccumulation
from tfopt.quantization.simulation._quantized_weights import QuantizedWeights

LayerClass = TypeVar("LayerClass", bound=type[keras.layers.Layer])

_DOCUMENTATION = """`keras.layers.{stock}` that computes with its {weight} on the integer grid.

{weights} `round(w / s) * s`, `s = max|w| / 127` with 8 bits (TFLite 8-bit specification;
straight-through gradient, arXiv 1308.3432). A bias stays float: TFLite keeps it in 32 bits.

Args:
    *args: as for `keras.layers.{stock}`.
    weight_bits: bits of a weight's code; `granularity`, `power_of_two` and `ternary` as for `QuantConfig`.
    **kwargs: as for `keras.layers.{stock}`.

Raises:
    ValueError: as for `keras.layers.{stock}`.

Example:

>>> import numpy as np
>>> from tfopt.quantization import {name}
{example}
"""


def _described(layer_class: LayerClass) -> LayerClass:
    """Puts what all these classes share around what a class says of its own: its weight, and an example."""
    weights, example = inspect.cleandoc(layer_class.__doc__ or "").split("\n\n", 1)
    layer_class.__doc__ = _DOCUMENTATION.format(
        stock=layer_class.__name__.removeprefix("Quantized"),
        name=layer_class.__name__,
        weight=weights.split()[0].strip(","),
        weights=weights.replace(".", ":"),
        example=example,
    )
    return layer_class


@_described
@keras.saving.register_keras_serializable(package="tfopt")
class QuantizedDense(IntegerAccumulation, keras.layers.Dense):
    """kernel (inputs, units), a step per unit.

    >>> QuantizedDense(units=3)(np.ones((2, 4), "float32")).shape
    TensorShape([2, 3])
    """

    kept_axes = (-1,)


@_described
@keras.saving.register_keras_serializable(package="tfopt")
class QuantizedConv1D(IntegerAccumulation, keras.layers.Conv1D):
    """kernel (width, inputs, filters), a step per filter.

    >>> QuantizedConv1D(filters=3, kernel_size=2)(np.ones((2, 4, 1), "float32")).shape
    TensorShape([2, 3, 3])
    """

    kept_axes = (-1,)


@_described
@keras.saving.register_keras_serializable(package="tfopt")
class QuantizedConv2D(IntegerAccumulation, keras.layers.Conv2D):
    """kernel (height, width, inputs, filters), a step per filter.

    >>> QuantizedConv2D(filters=3, kernel_size=2)(np.ones((2, 4, 4, 1), "float32")).shape
    TensorShape([2, 3, 3, 3])
    """

    kept_axes = (-1,)


@_described
@keras.saving.register_keras_serializable(package="tfopt")
class QuantizedDepthwiseConv2D(IntegerAccumulation, keras.layers.DepthwiseConv2D):
    """kernel (height, width, inputs, multiplier), a step per output channel.

    >>> QuantizedDepthwiseConv2D(kernel_size=2)(np.ones((2, 4, 4, 3), "float32")).shape
    TensorShape([2, 3, 3, 3])
    """

    kept_axes = (-2, -1)


@_described
@keras.saving.register_keras_serializable(package="tfopt")
class QuantizedDepthwiseConv1D(IntegerAccumulation, keras.layers.DepthwiseConv1D):
    """kernel (width, inputs, multiplier), a step per output channel.

    >>> QuantizedDepthwiseConv1D(kernel_size=2)(np.ones((2, 4, 3), "float32")).shape
    TensorShape([2, 3, 3])
    """

    kept_axes = (-2, -1)


@_described
@keras.saving.register_keras_serializable(package="tfopt")
class QuantizedConv2DTranspose(IntegerAccumulation, keras.layers.Conv2DTranspose):
    """kernel (height, width, filters, inputs), a step per filter.

    >>> QuantizedConv2DTranspose(filters=3, kernel_size=2)(np.ones((2, 4, 4, 1), "float32")).shape
    TensorShape([2, 5, 5, 3])
    """

    kept_axes = (-2,)


@_described
@keras.saving.register_keras_serializable(package="tfopt")
class QuantizedConv1DTranspose(IntegerAccumulation, keras.layers.Conv1DTranspose):
    """kernel (width, filters, inputs), a step per filter.

    >>> QuantizedConv1DTranspose(filters=3, kernel_size=2)(np.ones((2, 4, 1), "float32")).shape
    TensorShape([2, 5, 3])
    """

    kept_axes = (-2,)


@_described
@keras.saving.register_keras_serializable(package="tfopt")
class QuantizedEinsumDense(IntegerAccumulation, keras.layers.EinsumDense):
    """kernel, a step per output (the axes that are not summed over).

    >>> QuantizedEinsumDense("abc,cde->abde", output_shape=(None, 2, 3))(np.ones((2, 4, 5), "float32")).shape
    TensorShape([2, 4, 2, 3])
    """

    def axes_of(self, name: str) -> tuple[int, ...]:
        axes = einsum_axes(self)
        return axes.kept if axes else ()

    def channel_bias(self) -> Any:
        axes = einsum_axes(self)
        if self.bias is None or axes is None:
            return 0.0
        return ops.cast(axes.bias_of_channels(self.bias, self._kernel), "float32")

    def along_outputs(self, values: Any) -> Any:
        axes = einsum_axes(self)
        is_one = math.prod(getattr(values, "shape", ())) == 1
        return values if axes is None or is_one else axes.along_outputs(values, self._kernel)


@_described
@keras.saving.register_keras_serializable(package="tfopt")
class QuantizedPReLU(QuantizedWeights, keras.layers.PReLU):
    """alpha, one step for all of it.

    >>> QuantizedPReLU()(np.ones((2, 4), "float32")).shape
    TensorShape([2, 4])
    """

    weight_names = ("alpha",)
    kept_axes = ()
