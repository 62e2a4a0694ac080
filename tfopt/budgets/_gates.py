"""Gates: choices as probabilities that are learned, and the kernels and masks that these make."""

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
from keras import ops


def relaxed(logits: Any, temperature: Any, noise: Any) -> Any:
    """Probabilities of choices: `softmax((logits + noise) / temperature)`.

    With noise of Gumbel's distribution these are samples that get ever more like one choice the lower the temperature
    is (Jang et al. 2017, https://arxiv.org/abs/1611.01144); without, what is chosen on average.

    >>> import numpy as np
    >>> from tfopt.budgets._gates import relaxed
    >>> np.asarray(relaxed(np.log([1.0, 3.0]), 1.0, 0.0)).round(4).tolist()
    [0.25, 0.75]
    """
    return ops.softmax((logits + noise) / temperature, axis=-1)


def gumbel(shape: tuple[int, ...], seed: Any) -> Any:
    """Noise of Gumbel's distribution, `-log(-log(u))`."""
    u = keras.random.uniform(shape, 1e-6, 1.0 - 1e-6, seed=seed)
    return -ops.log(-ops.log(u))


def mixed(kernel: Any, bits: Sequence[int], probabilities: Any, kept_axes: Sequence[int]) -> Any:
    """A kernel as the mean of itself rounded to several widths, one set of weights behind all.

    `sum_i p_i Q_i(w)`, `Q_i(w) = s_i round(w / s_i)`, `s_i = max |w| / (2^(b_i - 1) - 1)` for each channel; rounding
    has the gradient 1 (Cai & Vasconcelos 2020, "Rethinking differentiable search for mixed-precision neural networks",
    https://arxiv.org/abs/2004.05795).

    Args:
        kernel: float tensor.
        bits: of each choice.
        probabilities: of each choice.
        kept_axes: the axes of the kernel that index channels.

    >>> import numpy as np
    >>> from tfopt.budgets._gates import mixed
    >>> np.asarray(mixed(np.array([[1.0], [0.4]], "float32"), (2, 8), np.array([0.5, 0.5], "float32"), (1,))).round(3)
    array([[1.   ],
           [0.201]], dtype=float32)
    """
    axes = [
        axis for axis in range(len(kernel.shape)) if axis not in [a % len(kernel.shape) for a in kept_axes]
    ]
    largest = ops.stop_gradient(ops.max(ops.abs(kernel), axis=axes, keepdims=True))
    total = 0.0
    for at, number in enumerate(bits):
        step = ops.maximum(largest / max(2 ** (number - 1) - 1, 1), 1e-12)
        rounded = ops.round(kernel / step) * step
        total = total + probabilities[at] * (kernel + ops.stop_gradient(rounded - kernel))
    return total


def prefix_masks(order: np.ndarray, parts: Sequence[float], divisor: int) -> np.ndarray:
    """For each part, ones for the channels that are kept: the first of an order, a multiple of the divisor of them.

    >>> from tfopt.budgets._gates import prefix_masks
    >>> prefix_masks(np.array([2, 0, 1, 3]), (1.0, 0.5), 1).tolist()
    [[1.0, 1.0, 1.0, 1.0], [1.0, 0.0, 1.0, 0.0]]
    """
    masks = np.zeros((len(parts), len(order)), "float32")
    for row, part in zip(masks, parts, strict=True):
        count = min(max(round(part * len(order) / divisor), 1) * divisor, len(order))
        row[order[:count]] = 1.0
    return masks
