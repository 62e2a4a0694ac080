"""The layer that quantizes activations."""

import dataclasses
from typing import Any

import keras
from keras import ops

from tfopt.quantization._constant_fake_quantize import ConstantFakeQuantize, check_range
from tfopt.quantization._grids import (
    Grid,
    activation_grid,
    fake_quantize,
    nudge_range,
    on_grid,
    round_to_grid,
)
from tfopt.quantization._learned_ranges import LEARNED
from tfopt.quantization._observers import MAXIMUM, MINIMUM, observe
from tfopt.quantization._range_shapes import restrict_range
from tfopt.quantization._schedule import Timed
from tfopt.quantization._sums import Kernel


@dataclasses.dataclass(frozen=True)
class _Feeds:
    by_site: dict[int, Kernel]


@keras.saving.register_keras_serializable(package="tfopt")
class FakeQuantize(Timed, keras.layers.Layer):
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
        halves: where the kernel that writes this tensor rounds halves, in inference, as for `round_to_grid`.
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
        observer: str = "moving_average",
        clip_l2: float = 0.0,
        symmetric: bool = False,
        power_of_two: bool = False,
        non_negative: bool = False,
        float_training: bool = False,
        smallest_step: float = 0.0,
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
        self.observer = observer
        self.clip_l2 = clip_l2
        self.symmetric = symmetric
        self.power_of_two = power_of_two
        self.non_negative = non_negative
        self.float_training = float_training
        self.smallest_step = smallest_step
        # Site -> the layers whose kernel writes there. In a plain object, for they are not this layer's to track.
        self._feeds = _Feeds({})
        self.supports_masking = True

    def build(self, input_shape: Any) -> None:
        if self.fixed_range is not None:
            return
        # float32 whatever the policy: TensorFlow's op takes nothing else, and float16 ranges would drift.
        options: dict[str, Any] = {"dtype": "float32", "autocast": False, "aggregation": "mean"}
        # Of each site: minimum, maximum, and the share of the initial value in them (see `observe`). In one row, for
        # a weight of two axes would pass for a kernel.
        self.observed = self.add_weight(
            name="observed",
            shape=(self.num_sites * 3,),
            initializer=lambda shape, dtype: ops.tile(ops.cast([0.0, 1.0, 0.0], dtype), shape[0] // 3),
            trainable=False,
            **options,
        )
        if self._learns:
            penalty = keras.regularizers.L2(self.clip_l2) if self.clip_l2 else None
            self.clip = self.add_weight(
                name="clip", shape=(), initializer="ones", regularizer=penalty, **options
            )
            # What `clip` was when ranges froze: optimizers with momentum go on moving the weight itself.
            self.frozen_clip = self.add_weight(
                name="frozen_clip", shape=(), initializer="ones", trainable=False, **options
            )

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
            return self._as_kernel(inputs, operands, site, halves)
        if self._observes:
            self._follow(ops.stop_gradient(inputs), site)
        # Outside of the condition, for it assigns a variable.
        clip = self._current_clip(training=True) if self._learns else None
        return self.unless_delayed(inputs, lambda: self._round(inputs, clip))

    @property
    def _learns(self) -> bool:
        return self.fixed_range is None and self.observer in LEARNED

    @property
    def _observes(self) -> bool:
        return self.fixed_range is None and not self._learns and self.momentum < 1.0

    def _round(self, inputs: Any, clip: Any) -> Any:
        """The operation that trains."""
        if clip is None:
            return fake_quantize(inputs, *self.range(), num_bits=self.num_bits)
        limits = nudge_range(*self._calibrated(), self.num_bits)
        return LEARNED[self.observer](inputs, *limits, clip, self.num_bits)

    def _current_clip(self, training: bool) -> Any:
        """The learned factor of the range; in training it is also kept, up to the step at which ranges freeze."""
        clip, kept = ops.convert_to_tensor(self.clip), ops.convert_to_tensor(self.frozen_clip)
        if self.counter is None or self.counter.freeze_step is None:
            return clip
        if not training:
            frozen = self.counter.steps >= self.counter.freeze_step
            return ops.where(frozen, kept, clip)
        frozen = self.counter.ranges_are_frozen()
        clip = ops.where(frozen, kept, clip)
        self.frozen_clip.assign(ops.stop_gradient(clip))
        return clip

    def follow(self, site: int, kernel: Kernel) -> None:
        """Names the kernel that writes a site."""
        self._feeds.by_site[site] = kernel

    def kernel_at(self, site: int = 0) -> Kernel | None:
        """The kernel that writes a site, where `follow` named it."""
        return self._feeds.by_site.get(site)

    def widen(self) -> None:
        """Keeps the grid, from now on, as coarse as the kernels that write here need it."""
        self.smallest_step = max(
            (float(kernel.smallest_step()) for kernel in self._feeds.by_site.values()), default=0.0
        )

    def _as_kernel(self, inputs: Any, operands: Any, site: int, halves: str) -> Any:
        """The inputs as the kernel that writes this site rounds and clips them."""
        kernel = self.kernel_at(site)
        if kernel is None:
            return round_to_grid(inputs, *self.range(), num_bits=self.num_bits, halves=halves)
        grid = self.grid()
        codes = kernel.codes(inputs, operands, grid)
        return ops.cast(on_grid(codes, *grid, self.num_bits), inputs.dtype)

    def nudged_range(self) -> tuple[Any, Any]:
        """`(minimum, maximum)` with whole steps on both sides of zero: scalars."""
        return nudge_range(*self.range(), self.num_bits)

    def grid(self) -> Grid:
        """The grid of the range."""
        return activation_grid(*self.range(), self.num_bits)

    def step(self) -> Any:
        """The real value of one code: a scalar."""
        return self.grid().step

    def _follow(self, inputs: Any, site: int) -> None:
        old = ops.copy(self.statistics)

        def observed() -> Any:
            return observe(inputs, old, site, self.momentum, self.non_negative)

        frozen = self.counter.ranges_are_frozen() if self.counter is not None else False
        new = observed() if frozen is False else ops.cond(frozen, lambda: old, observed)
        self.observed.assign(ops.reshape(new, (-1,)))

    @property
    def statistics(self) -> Any:
        """What was observed at each site, float32 (sites, 3): see `observe`."""
        return ops.reshape(self.observed, (self.num_sites, 3))

    @property
    def minimum(self) -> Any:
        """Lower end of each site's range."""
        return self.statistics[:, MINIMUM]

    @property
    def maximum(self) -> Any:
        """Upper end of each site's range."""
        return self.statistics[:, MAXIMUM]

    def range(self) -> tuple[Any, Any]:
        """`(minimum, maximum)` over all sites, before nudging: scalars."""
        if self.fixed_range is not None:
            return self.fixed_range
        if not self._learns:
            return self._calibrated()
        clip = ops.maximum(self._current_clip(training=False), 1e-3)
        lo, hi = nudge_range(*self._calibrated(), self.num_bits)
        return lo * clip, hi * clip

    def _calibrated(self) -> tuple[Any, Any]:
        """The range that the statistics span, of the form that the target asks for."""
        statistics = self.statistics
        if self.num_sites == 1:
            limits = statistics[0, MINIMUM], statistics[0, MAXIMUM]
        else:
            limits = ops.min(statistics[:, MINIMUM]), ops.max(statistics[:, MAXIMUM])
        if self.smallest_step:
            width = self.smallest_step * (2**self.num_bits - 1)
            limits = limits[0], ops.maximum(limits[1], ops.minimum(limits[0], 0.0) + width)
        return restrict_range(*limits, self.num_bits, self.symmetric, self.power_of_two)

    def set_range(self, minimum: Any, maximum: Any, batches: int | None = None) -> None:
        """Starts the range of each site from what calibration saw.

        Args:
            minimum: lower ends, of shape (num_sites,).
            maximum: upper ends.
            batches: how many batches were seen: the next ones weigh as the same number more. None for infinitely
                many, so that a training step counts `1 - momentum`.
        """
        initial = 0.0 if batches is None else self.momentum**batches
        minimum, maximum = (ops.cast(ends, "float32") for ends in (minimum, maximum))
        rows = ops.stack([minimum, maximum, ops.full_like(minimum, initial)], axis=1)
        self.observed.assign(ops.reshape(rows, (-1,)))

    def compute_output_spec(self, inputs: Any, *args: Any, **kwargs: Any) -> keras.KerasTensor:
        return keras.KerasTensor(inputs.shape, inputs.dtype)

    def to_inference(self) -> "ConstantFakeQuantize":
        """The same grid as constants: what the converter reads."""
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
