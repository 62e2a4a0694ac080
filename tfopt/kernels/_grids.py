"""The grids of int8 numbers: pure functions `x, parameters -> x` on `keras.ops`.

Formulas are those of the TFLite 8-bit specification and of Jacob et al. 2018, "Quantization and Training of Neural
Networks for Efficient Integer-Arithmetic-Only Inference" (arXiv 1712.05877).
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import keras

from tfopt._float32 import HALF_WINDOW, coarse
from tfopt._host_ops import ops

# Below this a channel's weights are zero for every purpose; dividing by a smaller scale overflows.
SMALLEST_WEIGHT = 1e-20

_OFF_THE_HALF = 1e-3

# The largest code of an 8-bit weight: the converter finds a channel's step from its largest weight, which is there.
LARGEST_WEIGHT_CODE = 127.0

# The step of a tensor that is always zero: the converter widens what spans less than 1e-6.
SMALLEST_STEP = 1.01e-6 / 255

# A mean of n codes is a half or at least 1/(2n) away from it: far more than this.
_MEAN_WINDOW = 2.0**-11


class Grid(NamedTuple):
    """The real value of one code, and the code of 0.0 counted from the lowest one: float32 scalars."""

    step: Any
    zero_point: Any


def activation_grid(minimum: Any, maximum: Any, num_bits: int = 8) -> Grid:
    """The grid of a range.

    With `n = 2**num_bits - 1` steps: `lo = min(minimum, 0)`, `hi = max(maximum, 0)`, `step = (hi - lo) / n`,
    `zero_point = round(-lo / step)`, halves down (section 3 of arXiv 1712.05877).

    Args:
        minimum: scalar tensor or float, lower end of the real values.
        maximum: scalar tensor or float, upper end.
        num_bits: bits of a code.

    Returns:
        The grid, its zero point a whole number in [0, n].

    >>> from tfopt.kernels._grids import activation_grid
    >>> [float(number) for number in activation_grid(-0.75, 0.75)]
    [0.00588226318359375, 127.0]
    """
    steps = float(2**num_bits - 1)
    lo = ops.minimum(ops.cast(minimum, "float32"), 0.0)
    hi = ops.maximum(ops.cast(maximum, "float32"), 0.0)
    step = ops.maximum((hi - lo) * (1.0 / steps), SMALLEST_STEP)
    # A symmetric range asks for zero point 127.5, which float rounding makes 127 here and 128 there (eager, graph,
    # XLA); moved off the half, all agree.
    zero_point = ops.clip(ops.round(-lo / step - _OFF_THE_HALF), 0.0, steps)
    return Grid(coarse(step, num_bits), zero_point)


def nudge_range(minimum: Any, maximum: Any, num_bits: int = 8) -> tuple[Any, Any]:
    """The nearest range whose zero is an integer code, so that 0.0 has no rounding error.

    `(-zero_point * step, (n - zero_point) * step)` of `activation_grid`, exact in float32. It is done here, before the
    fake-quantization op, because that op rounds its own zero point in another way under XLA than without.

    Args:
        minimum: scalar tensor or float, lower end of the real values.
        maximum: scalar tensor or float, upper end.
        num_bits: bits of a code.

    Returns:
        `(minimum, maximum)` as float32 scalars.

    >>> from tfopt.kernels._grids import nudge_range
    >>> [round(float(end), 4) for end in nudge_range(-0.75, 0.75)]
    [-0.747, 0.7529]
    """
    step, zero_point = activation_grid(minimum, maximum, num_bits)
    return -zero_point * step, (float(2**num_bits - 1) - zero_point) * step


def weight_scale(weight: Any, kept_axes: tuple[int, ...], num_bits: int = 8) -> Any:
    """The step of each channel's symmetric grid: `coarse(max|w| / (2**(num_bits - 1) - 1))`, at least a tiny number.

    Args:
        weight: kernel of any shape.
        kept_axes: the axes that index channels; the maximum is over all others.
        num_bits: bits of a code.

    Returns:
        Scales, of the kernel's rank with 1 in place of the reduced axes.
    """
    kept = {axis % len(weight.shape) for axis in kept_axes}
    reduced = tuple(axis for axis in range(len(weight.shape)) if axis not in kept)
    # Without an array of magnitudes, as large as the kernel.
    ends = ops.max(weight, axis=reduced, keepdims=True), ops.min(weight, axis=reduced, keepdims=True)
    bound = ops.maximum(ends[0], -ends[1])
    # Times a constant, for XLA turns a division by one into this.
    return coarse(
        ops.where(bound > SMALLEST_WEIGHT, bound, 1.0) * (1.0 / (2.0 ** (num_bits - 1) - 1.0)), num_bits
    )


def fake_quantize(x: Any, minimum: Any, maximum: Any, num_bits: int = 8, non_negative: bool = False) -> Any:
    """Activations clipped to a range and rounded to its `2**num_bits` codes.

    `round(clip(x, lo, hi) / s) * s` over the nudged range `(lo, hi)`; the gradient is 1 inside the range and 0
    outside (Bengio et al. 2013, arXiv 1308.3432). This is the operation that trains: on TensorFlow one fused kernel,
    which rounds halves up, elsewhere to the even code.

    Args:
        x: float tensor of any shape.
        minimum: scalar, lower end of the range before nudging.
        maximum: scalar, upper end.
        num_bits: bits of a code.
        non_negative: `x` is known to be 0 or more, so that it need not be clipped below.

    Returns:
        A tensor of the same shape and dtype.

    >>> import numpy as np
    >>> from tfopt.kernels._grids import fake_quantize
    >>> np.array(fake_quantize(np.array([-9.0, 0.0, 50.1, 900.0], "float32"), 0.0, 255.0)).tolist()
    [0.0, 0.0, 50.0, 255.0]
    """
    lo, hi = nudge_range(minimum, maximum, num_bits)
    if keras.backend.backend() == "tensorflow":
        return keras.quantizers.fake_quant_with_min_max_vars(x, lo, hi, num_bits=num_bits)
    step = (hi - lo) * (1.0 / (2.0**num_bits - 1.0))
    return _rounded_between(ops.convert_to_tensor(x), None if non_negative else lo, hi, step)


def _rounded_between(x: Any, lo: Any, hi: Any, step: Any) -> Any:
    """`fake_quantize` in as few operations for each value as it takes: Keras' own are twice as many.

    Ranges get no gradient.
    """
    codes_per_unit = 1.0 / step

    @ops.custom_gradient
    def rounded(x: Any) -> tuple[Any, Callable[..., Any]]:
        wide = ops.cast(x, "float32")
        clipped = ops.minimum(wide if lo is None else ops.maximum(wide, lo), hi)

        def gradient(*args: Any, upstream: Any = None) -> Any:
            wide = ops.cast(x, "float32")  # anew: what is kept for the gradient is `x`, of 16 bits it may be
            inside = wide <= hi if lo is None else ops.logical_and(wide >= lo, wide <= hi)
            return ops.where(inside, args[0] if upstream is None else upstream, 0.0)

        return ops.cast(ops.round(clipped * codes_per_unit) * step, x.dtype), gradient

    return rounded(x)


def round_to_grid(x: Any, minimum: Any, maximum: Any, num_bits: int = 8, ties: str = "even") -> Any:
    """The same grid as `fake_quantize`, with halves rounded as the integer kernels round them.

    Args:
        x: float tensor of any shape.
        minimum: scalar, lower end of the range before nudging.
        maximum: scalar, upper end.
        num_bits: bits of a code.
        ties: where a value halfway between two codes goes: to the `"even"` one, counted from that of 0.0, as in most of
            LiteRT's kernels (XNNPACK); `"up"`, as `tfopt.runtimes` feeds a model's inputs; `"away"` from the code 0,
            as average pooling does, where a mean of four codes is a half every fourth time; `"away_from_zero"`, from
            0.0, as TFLite Micro brings floats to codes.

    Returns:
        A tensor of the same shape and dtype, without gradient.

    >>> import numpy as np
    >>> from tfopt.kernels._grids import round_to_grid
    >>> [np.array(round_to_grid(np.array([0.5, 1.5]), 0.0, 255.0, ties=h)).tolist() for h in ("even", "up")]
    [[0.0, 2.0], [1.0, 2.0]]
    """
    return round_to(activation_grid(minimum, maximum, num_bits), x, num_bits, ties)


def round_to(grid: Grid, x: Any, num_bits: int = 8, ties: str = "even") -> Any:
    """As `round_to_grid`, where the grid is known."""
    step, zero_point = grid
    steps = ops.cast(x, "float32") / step
    if ties == "up":
        steps = ops.floor(steps + (0.5 + HALF_WINDOW))
    elif ties == "away":
        code_0 = 2 ** (num_bits - 1) - zero_point  # in a file codes count from the middle of the grid
        codes = steps - code_0
        steps = ops.sign(codes) * ops.floor(ops.abs(codes) + (0.5 + _MEAN_WINDOW)) + code_0
    elif ties == "away_from_zero":
        size = ops.floor(ops.abs(steps))
        # A sum with 0.5 would take 0.49999997 to 1.0.
        steps = ops.sign(steps) * ops.where(ops.abs(steps) - size < 0.5, size, size + 1.0)
    else:
        steps = ops.round(steps)
    return ops.cast(on_grid(steps, step, zero_point, num_bits), x.dtype)


def on_grid(codes: Any, step: Any, zero_point: Any, num_bits: int = 8) -> Any:
    """The real values of codes counted from that of 0.0, those off the grid at its ends.

    Args:
        codes: float32 tensor of whole numbers.
        step: the real value of one code.
        zero_point: how many codes lie below 0.0, as from `activation_grid`.
        num_bits: bits of a code.

    Returns:
        A float32 tensor of the same shape.

    >>> import numpy as np
    >>> from tfopt.kernels._grids import on_grid
    >>> np.array(on_grid(np.array([-200.0, 3.0, 200.0], "float32"), 0.5, 128.0)).tolist()
    [-64.0, 1.5, 63.5]
    """
    return ops.clip(codes, -zero_point, (2.0**num_bits - 1.0) - zero_point) * step
