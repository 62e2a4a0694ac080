"""The grids that weights are rounded to, from 8 bits down to a sign: pure functions on `keras.ops`."""

import dataclasses
from typing import Any

import numpy as np

from tfopt._float32 import next_power_of_two
from tfopt._host_ops import ops, row_blocks
from tfopt.kernels._grids import SMALLEST_WEIGHT, weight_scale

GRANULARITIES = ("channel", "tensor")

# TWN's threshold, as a part of the mean magnitude (Li et al. 2016, arXiv 1605.04711, equation 6).
_TERNARY_THRESHOLD = 0.7


@dataclasses.dataclass(frozen=True, kw_only=True)
class WeightGrid:
    """Codes `k` and a step `s`, so that a weight becomes `k * s`. A zero stays an exact zero on every grid.

    Args:
        bits: 2 to 8 give the codes `-(2**(bits-1) - 1) ... 2**(bits-1) - 1` with `s = max|w| / largest code` (TFLite
            8-bit specification); 1 gives the signs, with `s = mean|w|` (XNOR-Net, Rastegari et al. 2016, arXiv
            1603.05279).
        granularity: `"channel"`, a step per output channel, or `"tensor"`, one for all.
        power_of_two: round the step up to a power of two, so that a shift can replace a multiplication.
        ternary: the codes -1, 0, 1: 0 for what is below `0.7 mean|w|`, and `s` the mean magnitude of the others (TWN,
            Li et al. 2016, arXiv 1605.04711); takes bits=2.

    >>> import numpy as np
    >>> from tfopt.kernels._weight_grids import WeightGrid
    >>> weight = np.array([[0.375], [-0.875], [1.75]], "float32")
    >>> [np.ravel(grid.quantize(weight, (-1,))).tolist()
    ...     for grid in (WeightGrid(bits=4), WeightGrid(bits=2, ternary=True), WeightGrid(bits=1))]
    [[0.5, -1.0, 1.75], [0.0, -1.3125, 1.3125], [1.0, -1.0, 1.0]]
    """

    bits: int = 8
    granularity: str = "channel"
    power_of_two: bool = False
    ternary: bool = False

    @property
    def largest_code(self) -> int:
        """The highest code; the lowest is its negative."""
        return max(2 ** (self.bits - 1) - 1, 1)

    @property
    def levels(self) -> int:
        """How many values a weight can take."""
        return 2 if self.bits == 1 else 2 * self.largest_code + 1

    @property
    def is_default(self) -> bool:
        """Whether the TFLite converter finds this grid by itself, from the rounded weights alone."""
        return self == WeightGrid()

    @property
    def follows_norm(self) -> bool:
        """Whether a batch norm behind matters: folding it scales each channel, and so moves the common step."""
        return self.granularity == "tensor" or self.power_of_two

    def step(self, weight: Any, kept_axes: tuple[int, ...]) -> Any:
        """The real value of one code, of the weight's rank with 1 in place of the axes that share it."""
        weight = ops.cast(weight, "float32")
        kept = kept_axes if self.granularity == "channel" else ()
        if self.bits == 1:
            step = _mean_magnitude(weight, weight != 0, kept)
        elif self.ternary:
            step = _mean_magnitude(weight, self._is_large(weight, kept), kept)
        else:
            step = weight_scale(weight, kept, self.bits)
        return next_power_of_two(step) if self.power_of_two else step

    def codes(self, weight: Any, step: Any, kept_axes: tuple[int, ...]) -> Any:
        """The code of each weight, as float32."""
        weight = ops.cast(weight, "float32")
        if self.bits == 1:
            return ops.sign(weight)
        if self.ternary:
            kept = kept_axes if self.granularity == "channel" else ()
            return ops.where(self._is_large(weight, kept), ops.sign(weight), 0.0)
        return ops.round(weight / step)

    def quantize(self, weight: Any, kept_axes: tuple[int, ...], factor: Any = None) -> Any:
        """The weight on its grid, with the gradient of the identity (Bengio et al. 2013, arXiv 1308.3432).

        Args:
            weight: kernel of any shape.
            kept_axes: the axes that index output channels.
            factor: what a folded batch norm will multiply each channel with, of a shape that broadcasts: it is the
                product that lies on the grid. None for 1.

        Returns:
            A tensor of the same shape and dtype.
        """
        weight = ops.convert_to_tensor(weight)
        exact = ops.stop_gradient(ops.cast(weight, "float32"))
        folded = exact if factor is None else exact * factor
        rounded = self._rounded(folded, self.step(folded, kept_axes), kept_axes)
        rounded = ops.cast(rounded if factor is None else rounded / factor, weight.dtype)
        return weight + ops.stop_gradient(rounded - weight)

    def quantize_on_host(
        self, weight: np.ndarray, kept_axes: tuple[int, ...], factor: Any = None
    ) -> np.ndarray:
        """What `quantize` gives, some rows after another where that can be: a kernel may be large."""
        if factor is not None or self.ternary or weight.dtype != np.float32:
            return np.asarray(self.quantize(weight, kept_axes, factor))
        step = np.broadcast_to(self.step(weight, kept_axes), (len(weight), *weight.shape[1:]))
        new = np.empty_like(weight)
        for rows in row_blocks(weight):
            rounded = self._rounded(weight[rows], step[rows], kept_axes)
            np.add(weight[rows], rounded - weight[rows], out=new[rows])
        return new

    def _rounded(self, weight: Any, step: Any, kept_axes: tuple[int, ...]) -> Any:
        return self.codes(weight, step, kept_axes) * step

    def _is_large(self, weight: Any, kept_axes: tuple[int, ...]) -> Any:
        return ops.abs(weight) > _TERNARY_THRESHOLD * _mean_magnitude(weight, weight != 0, kept_axes)


def _mean_magnitude(weight: Any, counted: Any, kept_axes: tuple[int, ...]) -> Any:
    """The mean of `|w|` over the counted weights of each channel: pruned zeros must not shrink the others."""
    kept = {axis % len(weight.shape) for axis in kept_axes}
    reduced = tuple(axis for axis in range(len(weight.shape)) if axis not in kept)
    counted = ops.cast(counted, "float32")
    total = ops.sum(ops.abs(weight) * counted, axis=reduced, keepdims=True)
    mean = total / ops.maximum(ops.sum(counted, axis=reduced, keepdims=True), 1.0)
    return ops.where(mean > SMALLEST_WEIGHT, mean, 1.0)
