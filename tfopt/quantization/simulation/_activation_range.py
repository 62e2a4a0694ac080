"""The range of a quantizer of activations: observed, learned or fixed, and the grid that it spans."""

from typing import Any

import keras

from tfopt._host_ops import ops
from tfopt._replicas import limits_of_batch, replicas
from tfopt.kernels import Grid, activation_grid, nudge_range, once, restrict_range
from tfopt.quantization.simulation._learned_ranges import LEARNED
from tfopt.quantization.simulation._observers import MAXIMUM, MINIMUM, batch_limits, observe
from tfopt.quantization.simulation._step_counter import Timed


class ActivationRange(Timed):
    """Mixin of a layer that quantizes activations: where its range comes from.

    Each of `num_sites` places keeps `(minimum, maximum)` of its own, a debiased moving average; the range spans them
    all. With `observer="lsq"` or `"pact"` a learned factor scales what calibration found. See `FakeQuantize` for the
    arguments, which are attributes here.
    """

    num_sites: int
    fixed_range: tuple[float, float] | None
    num_bits: int
    momentum: float
    observer: str
    clip_l2: float
    symmetric: bool
    power_of_two: bool
    non_negative: bool
    smallest_step: float

    def build_range(self: Any) -> None:
        """Makes the weights that hold the range."""
        if self.fixed_range is not None:
            return
        # float32 whatever the policy: TensorFlow's op takes nothing else, and float16 ranges would drift.
        # All replicas of a strategy have the same range (see `limits_of_batch`).
        options: dict[str, Any] = {"dtype": "float32", "autocast": False, "aggregation": "only_first_replica"}
        # Of each site: minimum, maximum, and the share of the initial value in them (see `observe`). In one row, for
        # a weight of two axes would pass for a kernel.
        self.observed = self.add_weight(
            name="observed",
            shape=(self.num_sites * 3,),
            initializer=lambda shape, dtype: ops.tile(ops.cast([0.0, 1.0, 0.0], dtype), shape[0] // 3),
            trainable=False,
            **options,
        )
        if self.learns:
            penalty = keras.regularizers.L2(self.clip_l2) if self.clip_l2 else None
            self.clip = self.add_weight(
                name="clip", shape=(), initializer="ones", regularizer=penalty, **options
            )
            # What `clip` was when ranges froze: optimizers with momentum go on moving the weight itself.
            self.frozen_clip = self.add_weight(
                name="frozen_clip", shape=(), initializer="ones", trainable=False, **options
            )

    @property
    def learns(self) -> bool:
        """Whether training learns a factor of the range."""
        return self.fixed_range is None and self.observer in LEARNED

    @property
    def observes(self) -> bool:
        """Whether the range follows what training sees."""
        return self.fixed_range is None and not self.learns and self.momentum < 1.0

    def observe_batch(self: Any, inputs: Any, site: int) -> None:
        """Moves the range of a site towards that of a batch, unless ranges are frozen."""
        old = ops.copy(self.statistics)

        # Before the condition, in which replicas cannot wait for each other.
        shared = limits_of_batch(*batch_limits(inputs, self.non_negative)) if replicas() > 1 else None

        def observed() -> Any:
            return observe(shared or batch_limits(inputs, self.non_negative), old, site, self.momentum)

        frozen = self.counter.ranges_are_frozen() if self.counter is not None else False
        new = observed() if frozen is False else ops.cond(frozen, lambda: old, observed)
        self.observed.assign(ops.reshape(new, (-1,)))

    def current_clip(self: Any, training: bool) -> Any:
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

    @property
    def statistics(self: Any) -> Any:
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
        if not self.learns:
            return self.calibrated()
        clip = ops.maximum(self.current_clip(training=False), 1e-3)
        lo, hi = nudge_range(*self.calibrated(), self.num_bits)
        return lo * clip, hi * clip

    def nudged_range(self) -> tuple[Any, Any]:
        """`(minimum, maximum)` with whole steps on both sides of zero: scalars."""
        return nudge_range(*self.range(), self.num_bits)

    @once
    def grid(self) -> Grid:
        """The grid of the range."""
        return activation_grid(*self.range(), self.num_bits)

    def step(self) -> Any:
        """The real value of one code: a scalar."""
        return self.grid().step

    @once
    def code_limits(self) -> tuple[Any, Any]:
        """The first and the last code, counted from that of 0.0: scalars."""
        zero_point = self.grid().zero_point
        return -zero_point, (2.0**self.num_bits - 1.0) - zero_point

    def calibrated(self) -> tuple[Any, Any]:
        """The range that the statistics span, of the form that the target asks for."""
        statistics = self.statistics
        if self.num_sites == 1:
            limits = statistics[0, MINIMUM], statistics[0, MAXIMUM]
        else:
            limits = ops.min(statistics[:, MINIMUM]), ops.max(statistics[:, MAXIMUM])
        largest = self.largest()
        if largest is not None:
            limits = limits[0], ops.minimum(limits[1], largest)
        if self.smallest_step:
            width = self.smallest_step * (2**self.num_bits - 1)
            limits = limits[0], ops.maximum(limits[1], ops.minimum(limits[0], 0.0) + width)
        return restrict_range(*limits, self.num_bits, self.symmetric, self.power_of_two)

    def largest(self) -> Any:
        """The largest number that is ever written here, where that is known: a scalar; else None."""
        return None

    def set_range(self: Any, minimum: Any, maximum: Any, batches: int | None = None) -> None:
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
