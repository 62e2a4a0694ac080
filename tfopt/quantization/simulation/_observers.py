"""The moving average that activation ranges follow in training: pure functions on `keras.ops`."""

from typing import Any

from keras import ops

# Columns of the statistics: the ends of a range, and the share that the average owes to its initial value.
MINIMUM, MAXIMUM, INITIAL = 0, 1, 2


def batch_limits(inputs: Any, non_negative: bool = False) -> tuple[Any, Any]:
    """The least and the largest value of a batch: float32 scalars.

    Args:
        inputs: float tensor of any shape.
        non_negative: the inputs are known to be 0 or more, so that their minimum need not be looked for.
    """
    low = 0.0 if non_negative else ops.cast(ops.min(inputs), "float32")
    return low, ops.cast(ops.max(inputs), "float32")


def observe(limits: tuple[Any, Any], statistics: Any, site: int, momentum: float) -> Any:
    """The statistics of all sites after one more batch at one of them.

    A debiased moving average (Kingma & Ba 2015, arXiv 1412.6980, section 3), in the form that keeps the debiased value
    itself: `b <- d * b`, `m <- m + (1 - d) / (1 - b) * (batch - m)`, with `b = d**t` after `t` batches. With `b = 0` it
    is the plain moving average.

    Args:
        limits: least and largest value of the batch, scalars.
        statistics: float32 (sites, 3): minimum, maximum and `b` of each site.
        site: which row the batch belongs to.
        momentum: `d`.

    Returns:
        New statistics, of the same shape.

    >>> import numpy as np
    >>> from tfopt.quantization.simulation._observers import observe
    >>> np.array(observe((-3.0, 5.0), np.array([[-1.0, 1.0, 0.0]], "float32"), 0, momentum=0.75)).tolist()
    [[-1.5, 2.0, 0.0]]
    """
    low, high = limits
    initial = statistics[site, INITIAL] * momentum
    rate = (1.0 - momentum) / ops.maximum(1.0 - initial, 1e-6)
    old_low, old_high = statistics[site, MINIMUM], statistics[site, MAXIMUM]
    row = ops.stack([old_low + rate * (low - old_low), old_high + rate * (high - old_high), initial])
    if statistics.shape[0] == 1:
        return ops.expand_dims(row, 0)
    here = ops.expand_dims(ops.one_hot(site, statistics.shape[0], dtype="float32"), 1)
    return statistics + here * (row - statistics)
