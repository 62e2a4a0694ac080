"""The layer that quantizes activations."""

from typing import Any

import keras
from keras import ops

from tfopt._host_ops import on_host
from tfopt._untracked import Untracked
from tfopt.kernels import (
    ConstantFakeQuantize,
    IntegerActivations,
    Kernel,
    check_range,
    fake_quantize,
    nudge_range,
    round_to,
)
from tfopt.quantization.simulation._activation_range import ActivationRange
from tfopt.quantization.simulation._learned_ranges import LEARNED


@keras.saving.register_keras_serializable(package="tfopt")
class FakeQuantize(ActivationRange, IntegerActivations, keras.layers.Layer):
    """Rounds activations to the integer grid that the TFLite kernels compute on.

    `quantize` inserts one wherever a TFLite kernel writes its output. The range `[minimum, maximum]` starts from
    calibration, follows a debiased moving average of the batches' own ranges while training, or is learned, and
    stands still in inference. Where TFLite demands one grid for several tensors (all inputs of a concatenation),
    one layer is called at several sites: each site keeps its own average, and the grid spans them all.

    Args:
        num_sites: how many places of the graph share this range.
        fixed_range: `(minimum, maximum)` where TFLite fixes the grid (softmax, sigmoid: `(0, 255 / 256)`;
            tanh: `(-1, 127 / 128)`); there is then nothing to learn.
        momentum: share of the old range that a training step keeps; with 1 ranges stand still.
        num_bits: bits of a code.
        observer: `"moving_average"`, `"lsq"` or `"pact"`, see `QuantConfig`.
        clip_l2: weight of PACT's penalty.
        symmetric: whether the zero point must be 0.
        power_of_two: whether the step must be a power of two.
        non_negative: the inputs are known to be 0 or more, as behind a ReLU.
        float_training: pass values through unrounded while training. For a fixed range at the model's output: its
            rounding has no effect on later layers, but turns small probabilities into log(0) in the loss.
        smallest_step: the grid never gets finer; `quantize` sets it to what the kernel that writes here can take, for
            a layer that is always zero has no range of its own.
        **kwargs: `name`, `dtype` and `trainable` of every Keras layer.

    Call arguments:
        inputs: float tensor of any shape.
        site: which of the `num_sites` places this is, from 0.
        operands: what the kernel reads that writes this tensor, where its rounding depends on more than their sum.
        ties: how the kernel that writes this tensor breaks ties, in inference, as for `round_to_grid`.
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
    keeps_values = True
    # One range for the whole tensor, in which 0 is exact: what was zero stays zero.
    weights_of_no_channel = ("observed", "clip", "frozen_clip")

    def __init__(
        self,
        num_sites: int = 1,
        fixed_range: tuple[float, float] | None = None,
        momentum: float = 0.99,
        num_bits: int = 8,
        observer: str = "moving_average",
        clip_l2: float = 0.0,
        symmetric: bool = False,
        power_of_two: bool = False,
        non_negative: bool = False,
        float_training: bool = False,
        smallest_step: float = 0.0,
        **kwargs: Any,
    ) -> None:
        # Not cast by Keras: 16 bits of float do not hold a code times its step, which inference needs.
        super().__init__(**{"autocast": False, **kwargs})
        if num_sites < 1:
            raise ValueError(f"The 'num_sites' argument must be 1 or more. Got {num_sites} instead.")
        if fixed_range is not None:
            check_range("fixed_range", fixed_range)
        self.num_sites = num_sites
        self.fixed_range = fixed_range and (float(fixed_range[0]), float(fixed_range[1]))
        self.momentum = momentum
        self.num_bits = num_bits
        self.observer = observer
        self.clip_l2 = clip_l2
        self.symmetric = symmetric
        self.power_of_two = power_of_two
        self.non_negative = non_negative
        self.float_training = float_training
        self.smallest_step = smallest_step
        # Site -> the kernel that writes there; its layers are not this layer's to track.
        self._kernels: Untracked = Untracked({})
        self.supports_masking = True

    def build(self, input_shape: Any) -> None:
        self.build_range()

    def call(
        self,
        inputs: Any,
        operands: Any = None,
        site: int = 0,
        ties: str = "even",
        training: bool | None = None,
    ) -> Any:
        inputs = ops.cast(inputs, "float32")
        if training and self.float_training:
            return inputs
        if not training:
            return self._as_kernel(inputs, operands, site, ties)
        if self.observes:
            self.observe_batch(ops.stop_gradient(inputs), site)
        # Outside of the condition, for it assigns a variable.
        clip = self.current_clip(training=True) if self.learns else None
        rounded = self.unless_delayed(inputs, lambda: self._round(inputs, clip))
        # What is written and read again between layers, and its gradient, is of 16 bits in mixed precision.
        return ops.cast(rounded, self.compute_dtype)

    def _round(self, inputs: Any, clip: Any) -> Any:
        """The operation that trains."""
        if clip is None:
            return fake_quantize(inputs, *self.range(), self.num_bits, self.non_negative)
        limits = nudge_range(*self.calibrated(), self.num_bits)
        return LEARNED[self.observer](inputs, *limits, clip, self.num_bits)

    def set_kernel(self, site: int, kernel: Kernel) -> None:
        """Names the kernel that writes a site."""
        self._kernels.value[site] = kernel

    def kernel_at(self, site: int = 0) -> Kernel | None:
        """The kernel that writes a site, where `set_kernel` named it."""
        return self._kernels.value.get(site)

    def largest(self) -> Any:
        """The largest number that the kernels that write here ever write, where that is known."""
        found = [kernel.largest() for kernel in self._kernels.value.values()]
        return found[0] if len(found) == self.num_sites == 1 else None

    def compute_grids(self) -> None:
        """Computes what a call in inference reads that depends on weights alone."""
        self.code_limits()
        for kernel in self._kernels.value.values():
            kernel.numbers(self)

    def coarsen_step(self) -> None:
        """Keeps the step, from now on, as coarse as the kernels that write here need it."""
        with on_host():
            steps = [float(kernel.smallest_step()) for kernel in self._kernels.value.values()]
        self.smallest_step = max(steps, default=0.0)

    def _as_kernel(self, inputs: Any, operands: Any, site: int, ties: str) -> Any:
        """The inputs as the kernel that writes this site rounds and clips them."""
        kernel = self.kernel_at(site)
        if kernel is None:
            return round_to(self.grid(), inputs, self.num_bits, ties)
        codes = ops.clip(kernel.codes(inputs, operands, self), *self.code_limits())
        return ops.cast(codes * self.step(), inputs.dtype)

    def compute_output_spec(self, inputs: Any, *args: Any, **kwargs: Any) -> keras.KerasTensor:
        return keras.KerasTensor(inputs.shape, self.compute_dtype)

    def to_inference(self) -> "ConstantFakeQuantize":
        """The same grid as constants: what the converter reads."""
        with on_host():
            lo, hi = (float(end) for end in self.nudged_range())
        return ConstantFakeQuantize(lo, hi, num_bits=self.num_bits, name=self.name)

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "num_sites": self.num_sites,
            "fixed_range": self.fixed_range,
            "momentum": self.momentum,
            "num_bits": self.num_bits,
            "observer": self.observer,
            "clip_l2": self.clip_l2,
            "symmetric": self.symmetric,
            "power_of_two": self.power_of_two,
            "non_negative": self.non_negative,
            "float_training": self.float_training,
            "smallest_step": self.smallest_step,
        }
