"""Selection in NumPy, where the weights are in this machine's memory: the same masks as in `_masks`, much faster.

No sort: a sample of the ranks tells between which two values the threshold is; only what lies between is looked at.
"""

import math
from collections.abc import Callable, Sequence

import numpy as np

SMALLEST_SAMPLE, LARGEST_SAMPLE = 1 << 8, 1 << 15
BLOCK = 1 << 20
_ENDS = np.iinfo("int32")

# From ascending magnitudes, and the sum of squares of all above them, to ascending scores.
Curve = Callable[[np.ndarray, float], np.ndarray]


def host_ranks(scores: np.ndarray) -> np.ndarray:
    """int32 in the order of the float32 scores, flat: IEEE 754 bits, with those of negative numbers reversed.

    >>> host_ranks(np.float32([0.0, 1e-45, -1e-45])).tolist()
    [0, 1, -2]
    """
    bits = np.ascontiguousarray(scores, "float32").reshape(-1).view("int32")
    if bits.size and bits.min() < 0:
        bits = np.where(bits < 0, bits ^ np.int32(0x7FFFFFFF), bits)
    return bits


def magnitude_ranks(weight: np.ndarray) -> np.ndarray:
    """The ranks of the weight's absolute values.

    >>> magnitude_ranks(np.float32([-0.0, -1e-45])).tolist()
    [0, 1]
    """
    return np.ascontiguousarray(weight, "float32").reshape(-1).view("int32") & np.int32(0x7FFFFFFF)


def kth_lowest(ranks: np.ndarray, k: int) -> int:
    """The rank at place `k` of the sorted ranks, from 0.

    >>> kth_lowest(np.int32([5, 3, 9, 3]), 2)
    5
    """
    sample = _sample(ranks)
    if sample is not None:
        low, high = _around(sample, k * len(sample) / ranks.size)
        # Many ranks may be equal to one end: the zeros of weights that are pruned already.
        below, up_to, before = (np.count_nonzero(x) for x in (ranks < low, ranks <= low, ranks < high))
        if below <= k < up_to:
            return low
        if up_to <= k < before:
            return int(np.partition(ranks[(ranks > low) & (ranks < high)], k - up_to)[k - up_to])
        # The rank is that of the high end, or the sample is unlike the whole, as where ranks repeat with its stride.
        if before <= k < np.count_nonzero(ranks <= high):
            return high
    return int(np.partition(ranks, k)[k])


def lowest_of(ranks: np.ndarray, count: int) -> np.ndarray:
    """True at the `count` lowest ranks, of equal ones at the first."""
    if count <= 0 or count >= ranks.size:
        return np.full(ranks.shape, count > 0)
    threshold = kth_lowest(ranks, count)
    chosen = ranks < threshold
    missing = count - np.count_nonzero(chosen)
    if missing:
        chosen[np.flatnonzero(ranks == threshold)[:missing]] = True
    return chosen


def lowest_units(ranks: np.ndarray, sizes: np.ndarray, limit: int) -> np.ndarray:
    """True at the lowest ranks, of equal ones at the first, as long as their sizes add up to no more than `limit`."""
    if sizes.size and (sizes == sizes[0]).all():
        return lowest_of(ranks, limit // int(sizes[0]))
    order = np.argsort(ranks, kind="stable")
    total = np.cumsum(sizes[order], dtype=np.int64)
    chosen = np.zeros(ranks.shape, bool)
    chosen[order[: np.searchsorted(total, limit, side="right")]] = True
    return chosen


def share(
    ranks: Sequence[np.ndarray], count: int, bounds: Sequence[tuple[int, int]], curve: Curve | None = None
) -> list[int]:
    """How many of each array are among the `count` lowest of all arrays together; of equal ones the first.

    Args:
        ranks: the arrays.
        count: how many in all, between the sums of the bounds.
        bounds: the fewest and the most of each array.
        curve: what is compared between arrays in place of the ranks, which are then those of magnitudes.

    >>> share([np.int32([1, 2, 9]), np.int32([3, 4])], 3, [(0, 2), (0, 2)])
    [2, 1]
    """
    # Zeros are mostly weights that are pruned already: so many, and so alike, that they are better left out.
    floored = all(one.min(initial=0) >= 0 for one in ranks)
    zeros = [one.size - int(np.count_nonzero(one)) if floored else 0 for one in ranks]
    floors = [min(zero, most) for zero, (_, most) in zip(zeros, bounds, strict=True)]
    left = count - sum(least for least, _ in bounds)
    if left < sum(max(floor - least, 0) for floor, (least, _) in zip(floors, bounds, strict=True)):
        return _first_of(floors, bounds, left)
    bounds = [(max(least, floor), most) for floor, (least, most) in zip(floors, bounds, strict=True)]
    places: list[tuple[int, int] | None] = _guess(ranks, count, bounds, curve)
    while True:
        parts = [
            _part(one, place, 1 if zero else _ENDS.min, curve)
            for one, place, zero in zip(ranks, places, zeros, strict=True)
        ]
        spans = [
            (min(max(below, least), most), min(below + len(scores), most))
            for (below, scores), (least, most) in zip(parts, bounds, strict=True)
        ]
        open_ = [
            scores[first - below : max(first, last) - below]
            for (below, scores), (first, last) in zip(parts, spans, strict=True)
        ]
        taken = _lowest_counts(open_, count - sum(first for first, _ in spans))
        wrong = [
            place is not None
            and (taken is None or (not mine and first > least) or (mine == len(scores) and last < most))
            for place, mine, scores, (first, last), (least, most) in zip(
                places, taken or [0] * len(ranks), open_, spans, bounds, strict=True
            )
        ]
        if taken is not None and not any(wrong):
            return [first + mine for (first, _), mine in zip(spans, taken, strict=True)]
        # The sample has misjudged these arrays: all of each is looked at.
        places = [None if bad else place for place, bad in zip(places, wrong, strict=True)]


def _first_of(floors: Sequence[int], bounds: Sequence[tuple[int, int]], left: int) -> list[int]:
    """The shares where all that is removed beyond the lower bounds, `left` in number, has score zero."""
    counts = []
    for floor, (least, _) in zip(floors, bounds, strict=True):
        mine = min(max(floor - least, 0), left)
        counts.append(least + mine)
        left -= mine
    return counts


def _guess(
    ranks: Sequence[np.ndarray], count: int, bounds: Sequence[tuple[int, int]], curve: Curve | None
) -> list[tuple[int, int] | None]:
    """The ranks between which the threshold most likely is in each array; None for all of a small array."""
    sampled = [_sample(one) for one in ranks]
    samples = [np.sort(one) if some is None else some for one, some in zip(ranks, sampled, strict=True)]
    weights = [one.size / max(1, len(sample)) for one, sample in zip(ranks, samples, strict=True)]
    scores = [
        sample if curve is None else curve(sample.view("float32"), 0.0) / weight
        for sample, weight in zip(samples, weights, strict=True)
    ]
    spans = [
        slice(round(least / weight), round(most / weight))
        for weight, (least, most) in zip(weights, bounds, strict=True)
    ]
    free = [one[span] for one, span in zip(scores, spans, strict=True)]
    each = np.concatenate([np.full(len(one), weight) for one, weight in zip(free, weights, strict=True)])
    pool = np.concatenate(free)
    order = np.argsort(pool)
    left = count - sum(least for least, _ in bounds)
    last = min(int(np.searchsorted(np.cumsum(each[order]), left)), len(order) - 1)
    guesses: list[tuple[int, int] | None] = []
    for sample, score, span in zip(sampled, free, spans, strict=True):
        if sample is None:
            guesses.append(None)
            continue
        place = span.start + int(np.searchsorted(score, pool[order[last]])) if last >= 0 else span.start
        guesses.append(_around(sample, place))
    return guesses


def _sample(ranks: np.ndarray) -> np.ndarray | None:
    """Every sixteenth rank or fewer, sorted; None if there are so few that all may be looked at."""
    if ranks.size < 16 * SMALLEST_SAMPLE:
        return None
    return np.sort(ranks[:: max(16, ranks.size // LARGEST_SAMPLE)])


def _around(sample: np.ndarray, place: float) -> tuple[int, int]:
    """The ranks around a place of a sorted sample, four standard deviations of its error away."""
    slack = 2.0 * math.sqrt(len(sample)) + 1
    low, high = math.floor(place - slack), math.ceil(place + slack)
    return int(sample[low]) if low >= 0 else _ENDS.min, int(sample[high]) if high < len(sample) else _ENDS.max


def _part(
    ranks: np.ndarray, place: tuple[int, int] | None, least: int, curve: Curve | None
) -> tuple[int, np.ndarray]:
    """How many ranks are below the place or the least rank, and the sorted scores of the others in it."""
    low, high = place or (_ENDS.min, _ENDS.max)
    low = max(low, least)
    inside = ranks if low == _ENDS.min and high == _ENDS.max else ranks[(ranks >= low) & (ranks <= high)]
    middle, below = np.sort(inside), int(np.count_nonzero(ranks < low))
    return below, middle if curve is None else curve(middle.view("float32"), _energy(ranks, high))


def _energy(ranks: np.ndarray, high: int) -> float:
    """The sum of squares of the magnitudes above a rank."""
    total = 0.0
    for start in range(0, ranks.size, BLOCK):
        block = ranks[start : start + BLOCK]
        values = np.where(block > high, block.view("float32"), np.float32(0))
        total += float(np.dot(values, values))
    return total


def _lowest_counts(arrays: Sequence[np.ndarray], count: int) -> list[int] | None:
    """How many of each sorted array are among the `count` lowest of all; None if there are not so many."""
    if not 0 <= count <= sum(map(len, arrays)):
        return None
    if not count:
        return [0] * len(arrays)
    threshold = np.partition(np.concatenate(arrays), count - 1)[count - 1]
    below = [int(np.searchsorted(one, threshold, "left")) for one in arrays]
    missing = count - sum(below)
    for index, one in enumerate(arrays):
        tied = min(missing, int(np.searchsorted(one, threshold, "right")) - below[index])
        below[index] += tied
        missing -= tied
    return below
