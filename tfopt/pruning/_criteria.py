"""Criteria: how much a weight matters. A criterion is a function from a weight to scores of the same shape."""

from typing import Any

from keras import ops


def magnitude(weight: Any) -> Any:
    """The absolute value: small weights change the output least.

    Han et al. (2015), "Learning both weights and connections", https://arxiv.org/abs/1506.02626.

    Args:
        weight: a float tensor or variable of any shape.

    Returns:
        Scores of the same shape and dtype; what scores lowest is pruned first.

    >>> from keras import ops
    >>> from tfopt.pruning import magnitude
    >>> ops.convert_to_numpy(magnitude([-3.0, 0.5])).tolist()
    [3.0, 0.5]
    """
    return ops.abs(weight)
