"""Ranges that are learned by gradient descent: LSQ and PACT, as pure functions on `keras.ops`.

Both learn one number a grid, `c`: the range is `c` times the calibrated one, so that a step of Adam moves it by the
same part whatever the scale of the activations.
"""

import math
from typing import Any

import keras
from keras import ops


def lsq_quantize(x: Any, minimum: Any, maximum: Any, clip: Any, num_bits: int = 8) -> Any:
    """Rounds `x` to the grid over `c * [minimum, maximum]`, with LSQ's gradient for its step.

    `y = round(clamp(x / s, -Qn, Qp)) * s` with `s = c * (maximum - minimum) / n`, and
    `dy/ds = round(x / s) - x / s` inside the range, `-Qn` and `Qp` outside, times `1 / sqrt(N * Qp)` with `N` the
    values of a sample (Esser et al. 2020, arXiv 1902.08153, equations 1 to 3).

    Args:
        x: float tensor, samples first.
        minimum: scalar, lower end of the calibrated range, a whole number of steps.
        maximum: scalar, upper end.
        clip: scalar, `c`.
        num_bits: bits of a code.

    Returns:
        A tensor of the same shape and dtype.

    >>> import numpy as np
    >>> from tfopt.quantization.simulation._learned_ranges import lsq_quantize
    >>> np.round(lsq_quantize(np.array([[-9.0, 0.501, 9.0]], "float32"), 0.0, 2.55, 2.0), 4).tolist()
    [[0.0, 0.5..., 5.0...]]
    """
    steps = 2.0**num_bits - 1.0
    base = (maximum - minimum) / steps
    first = ops.round(minimum / base)
    last = first + steps
    count = math.prod(size or 1 for size in x.shape[1:])
    rate = ops.rsqrt(count * ops.maximum(last, 1.0))
    clip = _positive(clip)
    clip = clip * rate + ops.stop_gradient(clip - clip * rate)
    step = base * clip
    clamped = ops.clip(ops.cast(x, "float32") / step, first, last)
    rounded = clamped + ops.stop_gradient(ops.round(clamped) - clamped)
    return ops.cast(rounded * step, x.dtype)


def pact_quantize(x: Any, minimum: Any, maximum: Any, clip: Any, num_bits: int = 8) -> Any:
    """Rounds `x` to the grid over `c * [minimum, maximum]`; the gradient of an end is that of all values beyond it.

    `y = clamp(x, c * minimum, c * maximum)`, rounded, with `dy/dc` the end that clips `x`, and 0 inside (Choi et al.
    2018, arXiv 1805.06085, equations 1 to 3, here with two ends).

    Args:
        x: float tensor of any shape.
        minimum: scalar, lower end of the calibrated range, a whole number of steps.
        maximum: scalar, upper end.
        clip: scalar, `c`.
        num_bits: bits of a code.

    Returns:
        A tensor of the same shape and dtype.

    >>> import numpy as np
    >>> from tfopt.quantization.simulation._learned_ranges import pact_quantize
    >>> np.round(pact_quantize(np.array([-9.0, 0.501, 9.0], "float32"), 0.0, 2.55, 2.0), 4).tolist()
    [0.0, 0.5, 5.0...]
    """
    clip = _positive(clip)
    return keras.quantizers.fake_quant_with_min_max_vars(x, minimum * clip, maximum * clip, num_bits=num_bits)


def _positive(clip: Any) -> Any:
    """A step of gradient descent may overshoot zero; a range must not."""
    return ops.maximum(ops.cast(clip, "float32"), 1e-3)


# Observer -> how it quantizes in training.
LEARNED = {"lsq": lsq_quantize, "pact": pact_quantize}
