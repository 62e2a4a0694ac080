"""The fewest things to give back so that a measure is met: by rank, then one by one."""

from collections.abc import Callable, Sequence


def fewest(
    damages: Sequence[float], drop: Callable[[frozenset[int]], float], allowed: float
) -> tuple[frozenset[int], float]:
    """Which of several things to give back, so that what is lost is at most what is allowed.

    Those of the largest damage first, as many as it takes (found by bisection); then each that was not needed is taken
    away again, the smallest damage first, so that none is left that could be spared alone.

    Args:
        damages: what each alone costs.
        drop: what is lost with a set of them given back, by their numbers.
        allowed: what may be lost.

    Returns:
        Their numbers, and what is lost with them. Where even all of them do not do, the fewest that lose as little.

    >>> from tfopt.analysis._fewest import fewest
    >>> fewest([5.0, 1.0, 9.0], lambda given: 10.0 - 8.0 * (0 in given) - 1.0 * (2 in given), allowed=2.0)
    (frozenset({0}), 2.0)
    """
    order = sorted(range(len(damages)), key=lambda index: -damages[index])
    whole = drop(frozenset(order))
    allowed = max(allowed, whole)
    low, high = 0, len(order)  # `high` of them do
    while low < high:
        middle = (low + high) // 2
        low, high = (low, middle) if drop(frozenset(order[:middle])) <= allowed else (middle + 1, high)
    chosen = frozenset(order[:high])
    for index in reversed(order[:high]):
        if drop(chosen - {index}) <= allowed:
            chosen -= {index}
    return chosen, drop(chosen)
