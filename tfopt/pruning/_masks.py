"""Patterns: which weights become zero, given the scores of all. A mask is a bool tensor, True where kept."""

import math
from typing import Any

from keras import ops

from tfopt.pruning._criteria import magnitude


def zero_count(sparsity: float, size: int) -> int:
    """How many of `size` weights are zero at this sparsity: the nearest integer.

    Computed in Python, as float32 on the device would be off by one from 2**24 weights on.

    >>> from tfopt.pruning import zero_count
    >>> zero_count(0.8, 72), zero_count(0.9, 100_000_000)
    (58, 90000000)
    """
    return round(sparsity * size)


def unstructured_mask(scores: Any, zeros: Any) -> Any:
    """The mask that removes the `zeros` lowest scores, wherever they stand; equal scores go by position.

    The count is exact, also where all scores are equal (a zero-initialized kernel). Runs in eager mode, `tf.function`
    and `jax.jit`. The threshold comes from bisecting the bit patterns of float32 between the lowest score and
    the highest, in at most 32 passes over the scores: exact, and on a CPU five times faster than a sort.

    Args:
        scores: a float tensor of any shape, compared in float32. NaN counts as the highest score.
        zeros: how many to remove: an int or an int32 scalar tensor, from 0 to the number of scores.

    Returns:
        A bool tensor of the shape of `scores`, True where the weight is kept.

    >>> from keras import ops
    >>> from tfopt.pruning import unstructured_mask
    >>> ops.convert_to_numpy(unstructured_mask([0.1, 3.0, 0.2, 2.0], 2)).tolist()
    [False, True, False, True]
    """
    scores = ops.convert_to_tensor(scores)
    ranks = _sortable_integers(ops.reshape(scores, (-1,)))
    threshold = _kth_lowest(ranks, zeros)
    below = ranks < threshold
    # int32 throughout: a float32 cumsum stops counting at 2**24.
    tied = ops.cast(ops.equal(ranks, threshold), "int32")
    missing = zeros - ops.sum(ops.cast(below, "int32"))
    pruned = ops.logical_or(below, ops.logical_and(tied > 0, ops.cumsum(tied) <= missing))
    return ops.reshape(ops.logical_not(pruned), ops.shape(scores))


def _sortable_integers(scores: Any) -> Any:
    """int32 in the order of the float32 scores: IEEE 754 bits, with those of negative numbers reversed."""
    bits = ops.view(ops.cast(scores, "float32"), "int32")
    return ops.where(bits < 0, ops.bitwise_xor(bits, 0x7FFFFFFF), bits)


def _kth_lowest(ranks: Any, k: Any) -> Any:
    """The smallest integer from the lowest rank on that at least `k` of the ranks do not exceed."""

    def halve(low: Any, high: Any) -> tuple[Any, Any]:
        # The mean, rounded down, without the overflow of low + high.
        middle = ops.bitwise_and(low, high) + ops.right_shift(ops.bitwise_xor(low, high), 1)
        enough = ops.sum(ops.cast(ranks <= middle, "int32")) >= k
        return ops.where(enough, low, middle + 1), ops.where(enough, middle, high)

    return ops.while_loop(lambda low, high: low < high, halve, (ops.min(ranks), ops.max(ranks)))[0]


def magnitude_mask(weight: Any, sparsity: float) -> Any:
    """The mask that removes the smallest weights: exactly `round(sparsity * size)` of them.

    Args:
        weight: a float tensor or variable of any (static) shape.
        sparsity: fraction of zeros, a Python float in [0, 1).

    Returns:
        A bool tensor of the weight's shape, True where the weight is kept.

    >>> from keras import ops
    >>> from tfopt.pruning import magnitude_mask
    >>> ops.convert_to_numpy(magnitude_mask([[0.1, -3.0], [0.2, -0.1]], 0.5)).tolist()
    [[False, True], [True, False]]
    """
    weight = ops.convert_to_tensor(weight)
    return unstructured_mask(magnitude(weight), zero_count(sparsity, math.prod(weight.shape)))


def apply_mask(weight: Any, mask: Any) -> Any:
    """The weight with zeros where the mask is False; dtype and shape stay.

    Selects rather than multiplies: a product would leave -0.0 (which gzip does not see as 0.0) and NaN.

    >>> from keras import ops
    >>> from tfopt.pruning import apply_mask
    >>> ops.convert_to_numpy(apply_mask([1.0, -2.0], [True, False])).tolist()
    [1.0, 0.0]
    """
    weight = ops.convert_to_tensor(weight)
    return ops.where(ops.convert_to_tensor(mask), weight, ops.zeros_like(weight))
