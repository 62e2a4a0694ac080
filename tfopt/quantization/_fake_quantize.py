"""The layer that quantizes activations."""

import dataclasses
from typing import Any

import keras
from keras import ops

from tfopt.quantization._grids import activation_grid, fake_quantize, nudge_range, round_to_grid
from tfopt.quantization._sums import Kernel


@dataclasses.dataclass(frozen=True)
class _Feeds:
    by_site: dict[int, Kernel]


def check_range(argument: str, limits: tuple[float, float]) -> None:
    """Raises ValueError if the limits do not hold zero."""
    if not limits[0] <= 0.0 <= limits[1] or limits[0] == limits[1]:
        raise ValueError(
            f"The '{argument}' argument must be (minimum, maximum) with minimum <= 0 <= maximum, for codes must hold "
            f"an exact zero. Got {tuple(limits)} instead."
        )


@keras.saving.register_keras_serializable(package="tfopt")
class FakeQuantize(keras.layers.Layer):
    """Rounds activations to the int8 grid that the TFLite kernels compute on.

    `quantize` inserts one wherever a TFLite kernel writes its output. The range `[minimum, maximum]` starts from
    calibration, follows a moving average of the batches' own ranges while training, `m <- d m + (1 - d) batch`, and
    stands still in inference. Where TFLite demands one grid for several tensors (all inputs of a concatenation),
    one layer is called at several sites: each site keeps its own average, and the grid spans them all.

    Args:
        num_sites: how many places of the graph share this range.
        fixed_range: `(minimum, maximum)` where TFLite fixes the grid (softmax, sigmoid: `(0, 255 / 256)`;
            tanh: `(-1, 127 / 128)`); there is then nothing to learn.
        momentum: `d` above, per training step.
        num_bits: bits of a code.
        float_training: pass values through unrounded while training. For a fixed range at the model's output: its
            rounding has no effect on later layers, but turns small probabilities into log(0) in the loss.
        **kwargs: `name`, `dtype` and `trainable` of every Keras layer.

    Call arguments:
        inputs: float tensor of any shape.
        site: which of the `num_sites` places this is, from 0.
        operands: what the kernel reads that writes this tensor, where its rounding depends on more than their sum.
        halves: `"even"`, `"up"` or `"away"`: where the kernel that writes this tensor rounds halves, in inference.
        training: whether to update the range.

    Raises:
        ValueError: a fixed range that does not hold zero, or `num_sites` below 1.

    Example:

    >>> import numpy as np
    >>> from tfopt.quantization import FakeQuantize
    >>> layer = FakeQuantize(fixed_range=(0.0, 255 / 256))
    >>> np.array(layer(np.array([0.1, 0.5, 2.0], "float32"))).tolist()
    [0.1015625, 0.5, 0.99609375]
    """

    graph_primitive = True  # capture must find it again as what it is

    def __init__(
        self,
        num_sites: int = 1,
        fixed_range: tuple[float, float] | None = None,
        momentum: float = 0.99,
        num_bits: int = 8,
        float_training: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        if num_sites < 1:
            raise ValueError(f"The 'num_sites' argument must be 1 or more. Got {num_sites} instead.")
        if fixed_range is not None:
            check_range("fixed_range", fixed_range)
        self.num_sites = num_sites
        self.fixed_range = fixed_range and (float(fixed_range[0]), float(fixed_range[1]))
        self.momentum = momentum
        self.num_bits = num_bits
        self.float_training = float_training
        # Site -> the layers whose kernel writes there. In a plain object, for they are not this layer's to track.
        self._feeds = _Feeds({})
        self.supports_masking = True

    def build(self, input_shape: Any) -> None:
        if self.fixed_range is None:
            # float32 whatever the policy: TensorFlow's op takes nothing else, and float16 ranges would drift.
            options = {
                "shape": (self.num_sites,),
                "dtype": "float32",
                "trainable": False,
                "autocast": False,
                "aggregation": "mean",
            }
            self.minimum = self.add_weight(name="minimum", initializer="zeros", **options)
            self.maximum = self.add_weight(name="maximum", initializer="ones", **options)

    def call(
        self,
        inputs: Any,
        operands: Any = None,
        site: int = 0,
        halves: str = "even",
        training: bool | None = None,
    ) -> Any:
        if training and self.float_training:
            return inputs
        if not training:
            inputs = self._as_kernel(inputs, operands, site)
            return round_to_grid(inputs, *self.range(), num_bits=self.num_bits, halves=halves)
        if self.fixed_range is None:
            self._follow(ops.stop_gradient(inputs), site)
        return fake_quantize(inputs, *self.range(), num_bits=self.num_bits)

    def follow(self, site: int, kernel: Kernel) -> None:
        """Names the kernel that writes a site."""
        self._feeds.by_site[site] = kernel

    def kernel_at(self, site: int = 0) -> Kernel | None:
        """The kernel that writes a site, where `follow` named it."""
        return self._feeds.by_site.get(site)

    def _as_kernel(self, inputs: Any, operands: Any, site: int) -> Any:
        """The inputs as the kernel that feeds this site rounds them: whole steps of this grid, not yet clipped."""
        kernel = self.kernel_at(site)
        if kernel is None:
            return inputs
        step = self.step()
        return ops.cast(kernel.codes(inputs, operands, step) * step, inputs.dtype)

    def step(self) -> Any:
        """The real value of one code: a scalar."""
        return activation_grid(*self.range(), self.num_bits)[0]

    def _follow(self, inputs: Any, site: int) -> None:
        here = ops.one_hot(site, self.num_sites, dtype="float32") * (1.0 - self.momentum)
        for variable, batch in ((self.minimum, ops.min(inputs)), (self.maximum, ops.max(inputs))):
            variable.assign(variable + here * (ops.cast(batch, "float32") - variable))

    def range(self) -> tuple[Any, Any]:
        """`(minimum, maximum)` over all sites, before nudging: scalars."""
        if self.fixed_range is not None:
            return self.fixed_range
        return ops.min(ops.convert_to_tensor(self.minimum)), ops.max(ops.convert_to_tensor(self.maximum))

    def set_range(self, minimum: Any, maximum: Any) -> None:
        """Starts the range of each site from what calibration saw: two arrays of shape (num_sites,)."""
        self.minimum.assign(minimum)
        self.maximum.assign(maximum)

    def compute_output_spec(self, inputs: Any, *args: Any, **kwargs: Any) -> keras.KerasTensor:
        return keras.KerasTensor(inputs.shape, inputs.dtype)

    def to_inference(self) -> "ConstantFakeQuantize":
        """The same grid as constants: what the converter reads."""
        lo, hi = (float(end) for end in nudge_range(*self.range(), self.num_bits))
        return ConstantFakeQuantize(lo, hi, num_bits=self.num_bits, name=self.name)

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "num_sites": self.num_sites,
            "fixed_range": self.fixed_range,
            "momentum": self.momentum,
            "num_bits": self.num_bits,
            "float_training": self.float_training,
        }


@keras.saving.register_keras_serializable(package="tfopt")
class ConstantFakeQuantize(keras.layers.Layer):
    """Rounds activations to a grid that no longer changes, with the operation that the TFLite converter reads.

    `export` puts it in place of each `FakeQuantize`.

    Args:
        minimum: lower end of the range, a whole number of steps below zero.
        maximum: upper end.
        num_bits: bits of a code.
        **kwargs: `name` and `dtype` of every Keras layer.

    Raises:
        ValueError: the range does not hold zero.

    Example:

    >>> import numpy as np
    >>> from tfopt.quantization import ConstantFakeQuantize
    >>> np.array(ConstantFakeQuantize(0.0, 255.0)(np.array([-1.0, 0.7, 300.0], "float32"))).tolist()
    [0.0, 1.0, 255.0]
    """

    graph_primitive = True  # capture must find it again as what it is

    def __init__(self, minimum: float, maximum: float, num_bits: int = 8, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        check_range("minimum, maximum", (minimum, maximum))
        self.minimum = minimum
        self.maximum = maximum
        self.num_bits = num_bits

    def call(self, inputs: Any) -> Any:
        return fake_quantize(inputs, self.minimum, self.maximum, self.num_bits)

    def compute_output_spec(self, inputs: Any, *args: Any, **kwargs: Any) -> keras.KerasTensor:
        return keras.KerasTensor(inputs.shape, inputs.dtype)

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "minimum": self.minimum,
            "maximum": self.maximum,
            "num_bits": self.num_bits,
        }
