"""Stock Keras layers whose kernel reads through a fake quantizer while they are called."""

import math
from typing import Any

import keras
from keras import ops

from tfopt.graph import einsum_axes
from tfopt.quantization.simulation._integer_accumulation import IntegerAccumulation
from tfopt.quantization.simulation._quantized_weights import QuantizedWeights


@keras.saving.register_keras_serializable(package="tfopt")
class QuantizedDense(IntegerAccumulation, keras.layers.Dense):
    """`keras.layers.Dense` that computes with its kernel on the int8 grid.

    kernel (inputs, units), a step per unit: `round(w / s) * s`, `s = max|w| / 127`
    (TFLite 8-bit specification; straight-through gradient, arXiv 1308.3432). The bias stays float: TFLite
    keeps it in 32 bits.

    Args:
        *args: as for `keras.layers.Dense`.
        weight_bits: bits of a weight's code; `granularity`, `power_of_two` and `ternary` as for `QuantConfig`.
        **kwargs: as for `keras.layers.Dense`.

    Raises:
        ValueError: as for `keras.layers.Dense`.

    Example:

    >>> import numpy as np
    >>> from tfopt.quantization import QuantizedDense
    >>> QuantizedDense(units=3)(np.ones((2, 4), "float32")).shape
    TensorShape([2, 3])
    """

    kept_axes = (-1,)


@keras.saving.register_keras_serializable(package="tfopt")
class QuantizedConv1D(IntegerAccumulation, keras.layers.Conv1D):
    """`keras.layers.Conv1D` that computes with its kernel on the int8 grid.

    kernel (width, inputs, filters), a step per filter: `round(w / s) * s`, `s = max|w| / 127`
    (TFLite 8-bit specification; straight-through gradient, arXiv 1308.3432). The bias stays float: TFLite
    keeps it in 32 bits.

    Args:
        *args: as for `keras.layers.Conv1D`.
        weight_bits: bits of a weight's code; `granularity`, `power_of_two` and `ternary` as for `QuantConfig`.
        **kwargs: as for `keras.layers.Conv1D`.

    Raises:
        ValueError: as for `keras.layers.Conv1D`.

    Example:

    >>> import numpy as np
    >>> from tfopt.quantization import QuantizedConv1D
    >>> QuantizedConv1D(filters=3, kernel_size=2)(np.ones((2, 4, 1), "float32")).shape
    TensorShape([2, 3, 3])
    """

    kept_axes = (-1,)


@keras.saving.register_keras_serializable(package="tfopt")
class QuantizedConv2D(IntegerAccumulation, keras.layers.Conv2D):
    """`keras.layers.Conv2D` that computes with its kernel on the int8 grid.

    kernel (height, width, inputs, filters), a step per filter: `round(w / s) * s`, `s = max|w| / 127`
    (TFLite 8-bit specification; straight-through gradient, arXiv 1308.3432). The bias stays float: TFLite
    keeps it in 32 bits.

    Args:
        *args: as for `keras.layers.Conv2D`.
        weight_bits: bits of a weight's code; `granularity`, `power_of_two` and `ternary` as for `QuantConfig`.
        **kwargs: as for `keras.layers.Conv2D`.

    Raises:
        ValueError: as for `keras.layers.Conv2D`.

    Example:

    >>> import numpy as np
    >>> from tfopt.quantization import QuantizedConv2D
    >>> QuantizedConv2D(filters=3, kernel_size=2)(np.ones((2, 4, 4, 1), "float32")).shape
    TensorShape([2, 3, 3, 3])
    """

    kept_axes = (-1,)


@keras.saving.register_keras_serializable(package="tfopt")
class QuantizedDepthwiseConv2D(IntegerAccumulation, keras.layers.DepthwiseConv2D):
    """`keras.layers.DepthwiseConv2D` that computes with its kernel on the int8 grid.

    kernel (height, width, inputs, multiplier), a step per output channel: `round(w / s) * s`, `s = max|w| / 127`
    (TFLite 8-bit specification; straight-through gradient, arXiv 1308.3432). The bias stays float: TFLite
    keeps it in 32 bits.

    Args:
        *args: as for `keras.layers.DepthwiseConv2D`.
        weight_bits: bits of a weight's code; `granularity`, `power_of_two` and `ternary` as for `QuantConfig`.
        **kwargs: as for `keras.layers.DepthwiseConv2D`.

    Raises:
        ValueError: as for `keras.layers.DepthwiseConv2D`.

    Example:

    >>> import numpy as np
    >>> from tfopt.quantization import QuantizedDepthwiseConv2D
    >>> QuantizedDepthwiseConv2D(kernel_size=2)(np.ones((2, 4, 4, 3), "float32")).shape
    TensorShape([2, 3, 3, 3])
    """

    kept_axes = (-2, -1)


@keras.saving.register_keras_serializable(package="tfopt")
class QuantizedDepthwiseConv1D(IntegerAccumulation, keras.layers.DepthwiseConv1D):
    """`keras.layers.DepthwiseConv1D` that computes with its kernel on the int8 grid.

    kernel (width, inputs, multiplier), a step per output channel: `round(w / s) * s`, `s = max|w| / 127`
    (TFLite 8-bit specification; straight-through gradient, arXiv 1308.3432). The bias stays float: TFLite
    keeps it in 32 bits.

    Args:
        *args: as for `keras.layers.DepthwiseConv1D`.
        weight_bits: bits of a weight's code; `granularity`, `power_of_two` and `ternary` as for `QuantConfig`.
        **kwargs: as for `keras.layers.DepthwiseConv1D`.

    Raises:
        ValueError: as for `keras.layers.DepthwiseConv1D`.

    Example:

    >>> import numpy as np
    >>> from tfopt.quantization import QuantizedDepthwiseConv1D
    >>> QuantizedDepthwiseConv1D(kernel_size=2)(np.ones((2, 4, 3), "float32")).shape
    TensorShape([2, 3, 3])
    """

    kept_axes = (-2, -1)


@keras.saving.register_keras_serializable(package="tfopt")
class QuantizedConv2DTranspose(IntegerAccumulation, keras.layers.Conv2DTranspose):
    """`keras.layers.Conv2DTranspose` that computes with its kernel on the int8 grid.

    kernel (height, width, filters, inputs), a step per filter: `round(w / s) * s`, `s = max|w| / 127`
    (TFLite 8-bit specification; straight-through gradient, arXiv 1308.3432). The bias stays float: TFLite
    keeps it in 32 bits.

    Args:
        *args: as for `keras.layers.Conv2DTranspose`.
        weight_bits: bits of a weight's code; `granularity`, `power_of_two` and `ternary` as for `QuantConfig`.
        **kwargs: as for `keras.layers.Conv2DTranspose`.

    Raises:
        ValueError: as for `keras.layers.Conv2DTranspose`.

    Example:

    >>> import numpy as np
    >>> from tfopt.quantization import QuantizedConv2DTranspose
    >>> QuantizedConv2DTranspose(filters=3, kernel_size=2)(np.ones((2, 4, 4, 1), "float32")).shape
    TensorShape([2, 5, 5, 3])
    """

    kept_axes = (-2,)


@keras.saving.register_keras_serializable(package="tfopt")
class QuantizedConv1DTranspose(IntegerAccumulation, keras.layers.Conv1DTranspose):
    """`keras.layers.Conv1DTranspose` that computes with its kernel on the int8 grid.

    kernel (width, filters, inputs), a step per filter: `round(w / s) * s`, `s = max|w| / 127`
    (TFLite 8-bit specification; straight-through gradient, arXiv 1308.3432). The bias stays float: TFLite
    keeps it in 32 bits.

    Args:
        *args: as for `keras.layers.Conv1DTranspose`.
        weight_bits: bits of a weight's code.
        **kwargs: as for `keras.layers.Conv1DTranspose`.

    Raises:
        ValueError: as for `keras.layers.Conv1DTranspose`.

    Example:

    >>> import numpy as np
    >>> from tfopt.quantization import QuantizedConv1DTranspose
    >>> QuantizedConv1DTranspose(filters=3, kernel_size=2)(np.ones((2, 4, 1), "float32")).shape
    TensorShape([2, 5, 3])
    """

    kept_axes = (-2,)


@keras.saving.register_keras_serializable(package="tfopt")
class QuantizedEinsumDense(IntegerAccumulation, keras.layers.EinsumDense):
    """`keras.layers.EinsumDense` that computes with its kernel on the int8 grid.

    kernel, a step per output (the axes that are not summed over):
    `round(w / s) * s`, `s = max|w| / 127`
    (TFLite 8-bit specification; straight-through gradient, arXiv 1308.3432). The bias stays float: TFLite
    keeps it in 32 bits.

    Args:
        *args: as for `keras.layers.EinsumDense`.
        weight_bits: bits of a weight's code.
        **kwargs: as for `keras.layers.EinsumDense`.

    Raises:
        ValueError: as for `keras.layers.EinsumDense`.

    Example:

    >>> import numpy as np
    >>> from tfopt.quantization import QuantizedEinsumDense
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


@keras.saving.register_keras_serializable(package="tfopt")
class QuantizedPReLU(QuantizedWeights, keras.layers.PReLU):
    """`keras.layers.PReLU` that computes with its slopes on the int8 grid.

    alpha, one step for all of it: `round(a / s) * s`, `s = max|a| / 127`
    (TFLite 8-bit specification; straight-through gradient, arXiv 1308.3432).

    Args:
        *args: as for `keras.layers.PReLU`.
        weight_bits: bits of a weight's code.
        **kwargs: as for `keras.layers.PReLU`.

    Raises:
        ValueError: as for `keras.layers.PReLU`.

    Example:

    >>> import numpy as np
    >>> from tfopt.quantization import QuantizedPReLU
    >>> QuantizedPReLU()(np.ones((2, 4), "float32")).shape
    TensorShape([2, 4])
    """

    weight_names = ("alpha",)
    kept_axes = ()
