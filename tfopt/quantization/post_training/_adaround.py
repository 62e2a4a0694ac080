"""AdaRound: whether each weight goes up or down is learned."""

import numpy as np

# Section 3.2 of the paper: the sigmoid is stretched to [low, high] and cut to [0, 1], so that it can reach the ends.
_LOW, _HIGH = -0.1, 1.1
_WARM_UP = 0.2
_BETA = (20.0, 2.0)
_REGULARIZER = 0.3
_RATE = 0.05


def adaround(
    weight: np.ndarray, gram: np.ndarray, kept: np.ndarray, top: int, steps: int = 500
) -> np.ndarray:
    """Codes of a kernel that keep its outputs on the inputs seen (Nagel et al. 2020, arXiv 2004.10568).

    `q = floor(w) + h(v)` with the rectified sigmoid `h(v) = clip(1.2 sigmoid(v) - 0.1, 0, 1)`, and `v` minimizes
    `tr((q - w)^T H (q - w)) + lambda sum(1 - |2 h(v) - 1|^beta)`; `H = X^T X` is all that the squared error of the
    outputs needs of the inputs. `beta` falls from 20 to 2 along a cosine, which drives every `h` to 0 or 1.

    Args:
        weight: the kernel in steps of its grid, shape (groups, inputs, outputs).
        gram: `H` of each group, shape (groups, inputs, inputs).
        kept: where the code must be `round(weight)`: zeros, and the channel's end of the grid.
        top: the largest code.
        steps: steps of Adam.

    Returns:
        Whole numbers from `-top` to `top`, as float64, of the kernel's shape.

    >>> import numpy as np
    >>> from tfopt.quantization.post_training._adaround import adaround
    >>> weight = np.array([[[0.4], [0.45], [7.0]]])
    >>> same_inputs = np.array([[[1.0, 0.99, 0.0], [0.99, 1.0, 0.0], [0.0, 0.0, 1.0]]])
    >>> adaround(weight, same_inputs, weight == 7.0, top=7).ravel().tolist()  # the sum is nearer to 1 than to 0
    [0.0, 1.0, 7.0]
    """
    low = np.clip(np.floor(weight), -top, top - 1)
    fraction = np.clip(weight - low, 0.0, 1.0)
    # Scaled so that the mean rounding error, 1/12 a weight, has loss 1 in each group's average input.
    power = np.maximum(np.trace(gram, axis1=1, axis2=2) / gram.shape[-1], 1e-12)[:, None, None]
    scaled = (gram / power).astype("float32")
    target, free = fraction.astype("float32"), (~kept).astype("float32")
    share = np.clip((target - _LOW) / (_HIGH - _LOW), 1e-4, 1 - 1e-4)
    v = np.log(share / (1 - share))
    mean, square = np.zeros_like(v), np.zeros_like(v)
    for step in range(1, steps + 1):
        gradient = _gradient(v, target, scaled, step / steps) * free
        mean += 0.1 * (gradient - mean)
        square += 0.001 * (gradient**2 - square)
        v -= _RATE * (mean / (1 - 0.9**step)) / (np.sqrt(square / (1 - 0.999**step)) + 1e-8)
    up = np.where(kept, np.round(weight) - low, v >= 0)
    return np.clip(low + up, -top, top)


def _gradient(v: np.ndarray, target: np.ndarray, gram: np.ndarray, progress: float) -> np.ndarray:
    sigmoid = 1.0 / (1.0 + np.exp(-v))
    stretched = sigmoid * (_HIGH - _LOW) + _LOW
    h = np.clip(stretched, 0.0, 1.0)
    slope = np.where((stretched > 0) & (stretched < 1), sigmoid * (1 - sigmoid) * (_HIGH - _LOW), 0.0)
    loss = 2.0 * np.matmul(gram, h - target)
    if progress > _WARM_UP:
        late = (progress - _WARM_UP) / (1 - _WARM_UP)
        beta = _BETA[1] + (_BETA[0] - _BETA[1]) * 0.5 * (1 + np.cos(late * np.pi))
        off = 2 * h - 1
        loss = loss - _REGULARIZER * 2 * beta * np.abs(off) ** (beta - 1) * np.sign(off)
    return (loss * slope).astype("float32")
