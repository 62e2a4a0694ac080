"""Masks: which weights, or units of weights (see `_patterns`), become zero, given their scores. True means kept."""

import math
from typing import Any

from keras import ops

from tfopt.pruning._backend import host_array, select
from tfopt.pruning._criteria import magnitude
from tfopt.pruning._host import host_ranks, lowest_of


def zero_count(sparsity: float, size: int) -> int:
    """How many of `size` weights are zero at this sparsity: the nearest integer that keeps at least one weight.

    Computed in Python, because float32 on the device would be off by one from 2**24 weights on. A kernel of zeros only
    passes nothing on, so one number is always kept, even in a kernel of 8 at 99 %.

    >>> from tfopt.pruning import zero_count
    >>> zero_count(0.8, 72), zero_count(0.9, 100_000_000), zero_count(0.99, 8)
    (58, 90000000, 7)
    """
    return min(round(sparsity * size), size - 1)


def unstructured_mask(scores: Any, zeros: Any) -> Any:
    """The mask that removes the `zeros` lowest scores, wherever they are; of equal scores the first ones.

    The count is exact, also where all scores are equal (a zero-initialized kernel). Runs in eager mode, `tf.function`
    and `jax.jit`. In a graph and on accelerators the threshold is searched between the bit patterns of the lowest and
    the highest score, alternately by interpolation and bisection: about 15 passes over the scores, and no sort. Where
    NumPy can read the scores it is found with four passes (see `_host`), and is the same.

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
    known = host_array(scores), host_array(zeros) if not isinstance(zeros, int) else zeros
    if known[0] is not None and known[1] is not None:
        kept = ~lowest_of(host_ranks(known[0]), int(known[1])).reshape(known[0].shape)
        return ops.convert_to_tensor(kept)
    return _lowest_removed(scores, zeros, lambda chosen: ops.cast(chosen, "int32"))


def unit_mask(scores: Any, sizes: Any, zeros: Any) -> Any:
    """The mask that removes units of several weights each, lowest scores first, as long as `zeros` allows.

    The units are blocks, channels or heads. Removed are `zeros` weights, or fewer by less than one unit, because the
    next unit would exceed the number.

    Args:
        scores: a float tensor of any shape: one score per unit.
        sizes: an int32 tensor of that shape: how many weights each unit has.
        zeros: how many weights to remove at most: an int or an int32 scalar tensor.

    Returns:
        A bool tensor of the shape of `scores`, True where the unit is kept.

    >>> from keras import ops
    >>> from tfopt.pruning import unit_mask
    >>> ops.convert_to_numpy(unit_mask([0.1, 3.0, 0.2, 2.0], [4, 4, 4, 2], 9)).tolist()
    [False, True, False, True]
    """
    sizes = ops.reshape(ops.cast(ops.convert_to_tensor(sizes), "int32"), (-1,))
    return _lowest_removed(scores, zeros, lambda chosen: ops.where(chosen, sizes, 0))


def _lowest_removed(scores: Any, zeros: Any, sizes_of: Any) -> Any:
    """The mask without the lowest scores; `sizes_of(chosen)` is the size of each chosen score, and 0 for others."""
    scores = ops.convert_to_tensor(scores)
    ranks = sortable_integers(ops.reshape(scores, (-1,)))
    threshold = _kth_lowest(ranks, zeros, sizes_of)
    below = ranks < threshold
    missing = zeros - ops.sum(sizes_of(below))

    def with_ties() -> Any:
        # int32 throughout: a float32 cumsum stops counting at 2**24.
        tied = sizes_of(ops.equal(ranks, threshold))
        return ops.logical_or(below, ops.logical_and(tied > 0, ops.cumsum(tied) <= missing))

    # Usually there are no ties to break, and a cumulative sum costs as much as everything before it.
    pruned = ops.cond(missing > 0, with_ties, lambda: below)
    return ops.reshape(ops.logical_not(pruned), ops.shape(scores))


def sortable_integers(scores: Any) -> Any:
    """int32 in the order of the float32 scores: IEEE 754 bits, with those of negative numbers reversed."""
    bits = ops.view(ops.cast(scores, "float32"), "int32")
    return ops.where(bits < 0, ops.bitwise_xor(bits, 0x7FFFFFFF), bits)


def _kth_lowest(ranks: Any, k: Any, sizes_of: Any) -> Any:
    """A threshold: the sizes of the ranks below it sum up to at most `k`, those of the ranks up to it to at least `k`.

    Interpolation halves the number of passes; bisection makes sure that 64 passes are enough.
    """

    def narrow(low: Any, high: Any, below: Any, up_to: Any, bisect: Any) -> tuple[Any, ...]:
        middle = ops.where(bisect, _halfway(low, high), _interpolated(low, high, below, up_to, k))
        weight = ops.sum(sizes_of(ranks <= middle))
        enough = weight >= k
        # If the sum is hit exactly, any threshold between two ranks will do.
        first = ops.where(enough, ops.where(ops.equal(weight, k), middle, low), middle + 1)
        return (
            first,
            ops.where(enough, middle, high),
            ops.where(enough, below, weight),
            ops.where(enough, weight, up_to),
            ops.logical_not(bisect),
        )

    none, everything = ops.zeros((), "int32"), ops.sum(sizes_of(ops.ones_like(ranks, "bool")))
    start = (ops.min(ranks), ops.max(ranks), none, everything, ops.zeros((), "bool"))
    return ops.while_loop(lambda low, high, *_: low < high, narrow, start)[0]


def _halfway(low: Any, high: Any) -> Any:
    """The mean, rounded down, without the overflow of low + high."""
    return ops.bitwise_and(low, high) + ops.right_shift(ops.bitwise_xor(low, high), 1)


def _interpolated(low: Any, high: Any, below: Any, up_to: Any, k: Any) -> Any:
    """Where the sum would reach `k` if it grew linearly from `below` at `low` to `up_to` at `high`."""
    low_, high_, below_, up_to_, k_ = (ops.cast(x, "float32") for x in (low, high, below, up_to, k))
    part = (k_ - below_) / ops.maximum(up_to_ - below_, 1.0)
    # At most a quarter of a range beyond int32 (scores of both signs), so that nothing overflows.
    offset = ops.cast(ops.clip(part * (high_ - low_), 0.0, 2.0**30), "int32")
    return ops.minimum(low + offset, high - 1)


def magnitude_mask(weight: Any, sparsity: float) -> Any:
    """The mask that removes the smallest weights: exactly `zero_count(sparsity, size)` of them.

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
    """The weight with zeros where the mask is False; with the same dtype and shape.

    Selects rather than multiplies: a product would leave -0.0 (which gzip does not see as 0.0) and NaN.

    >>> from keras import ops
    >>> from tfopt.pruning import apply_mask
    >>> ops.convert_to_numpy(apply_mask([1.0, -2.0], [True, False])).tolist()
    [1.0, 0.0]
    """
    weight = ops.convert_to_tensor(weight)
    return select(ops.convert_to_tensor(mask), weight, ops.zeros_like(weight))


def soft_threshold(weight: Any, alpha: Any) -> Any:
    """The proximal step of the L1 norm: every weight moves towards zero by `alpha`, and stops there.

    `sign(w) * max(|w| - alpha, 0)` (Daubechies et al. 2004, https://arxiv.org/abs/math/0307152).

    Args:
        weight: a float tensor of any shape.
        alpha: how far weights move, a float or scalar tensor of at least 0, in the weight's own unit.

    >>> from keras import ops
    >>> from tfopt.pruning import soft_threshold
    >>> ops.convert_to_numpy(soft_threshold([3.0, -0.5, -2.0], 1.0)).tolist()
    [2.0, 0.0, -1.0]
    """
    weight = ops.convert_to_tensor(weight)
    shrunk = ops.abs(weight) - ops.cast(alpha, weight.dtype)
    return ops.where(shrunk > 0, ops.sign(weight) * shrunk, ops.zeros_like(weight))


def regrow_mask(active: Any, scores: Any, growth: Any, count: Any) -> Any:
    """The mask in which the `count` lowest active units are replaced by as many units that were not active.

    Dropped units do not grow again in the same call. The number of active units stays the same.

    Args:
        active: a bool tensor: the mask so far.
        scores: a float tensor of that shape: the active units with the lowest scores are dropped.
        growth: a float tensor of that shape: the inactive units with the highest values become active.
        count: how many, an int or an int32 scalar tensor; at most the number of active units, and of inactive ones.

    >>> from keras import ops
    >>> from tfopt.pruning import regrow_mask
    >>> mask = regrow_mask([True, True, False, False], [0.5, 2.0, 0.0, 0.0], [9.0, 9.0, 0.1, 0.2], 1)
    >>> ops.convert_to_numpy(mask).tolist()
    [False, True, False, True]
    """
    active = ops.convert_to_tensor(active)
    size = math.prod(active.shape)
    others = size - ops.sum(ops.cast(active, "int32"))
    low = ops.cast(float("-inf"), "float32")
    kept = unstructured_mask(ops.where(active, ops.cast(scores, "float32"), low), others + count)
    grown = unstructured_mask(ops.where(active, low, ops.cast(growth, "float32")), size - count)
    return ops.logical_or(kept, grown)
