"""Criteria: how much a weight matters. Pure functions from arrays to scores; the lowest scores are pruned first."""

import dataclasses
from collections.abc import Callable
from typing import Any

import numpy as np
from keras import ops

from tfopt.pruning._checks import named


def magnitude(weight: Any) -> Any:
    """The absolute value: small weights change the output least.

    Han et al. (2015), "Learning both weights and connections", https://arxiv.org/abs/1506.02626.

    Args:
        weight: a float tensor or variable of any shape.

    Returns:
        Scores of the same shape and dtype; the lowest are pruned first.

    >>> from keras import ops
    >>> from tfopt.pruning import magnitude
    >>> ops.convert_to_numpy(magnitude([-3.0, 0.5])).tolist()
    [3.0, 0.5]
    """
    return ops.abs(weight)


def lamp(weight: Any) -> Any:
    """The part of a layer's remaining energy that the weight holds, once all smaller weights are removed.

    `w**2 / sum of v**2 over all v with |v| >= |w|` (Lee et al. 2021, "Layer-adaptive sparsity for the magnitude-based
    pruning", https://arxiv.org/abs/2010.07611). Within a layer the order is that of magnitude. Scores of different
    layers are comparable, whatever the scale of their weights, so use it for one global threshold in networks with
    batch norms.

    Args:
        weight: a float tensor of any shape, all of one layer.

    >>> from keras import ops
    >>> from tfopt.pruning import lamp
    >>> ops.convert_to_numpy(lamp([2.0, -2.0, 0.0])).tolist()
    [0.5, 1.0, 0.0]
    """
    squares = ops.square(ops.cast(ops.reshape(weight, (-1,)), "float32"))
    order = ops.argsort(squares)
    ranked = ops.take(squares, order)
    left = ops.flip(ops.cumsum(ops.flip(ranked, 0)), 0)
    scores = ranked / ops.maximum(left, 1e-38)
    return ops.reshape(ops.take(scores, ops.argsort(order)), ops.shape(weight))


def lamp_curve(magnitudes: Any, above: float) -> Any:
    """`lamp` of ascending magnitudes in NumPy, given the sum of the squares of all that are above them.

    >>> import numpy as np
    >>> lamp_curve(np.float32([0.0, 2.0]), above=4.0).tolist()
    [0.0, 0.5]
    """
    squares = np.square(magnitudes, dtype="float64")
    return squares / np.maximum(above + np.cumsum(squares[::-1])[::-1], 1e-38)


def random_scores(weight: Any, noise: Any) -> Any:
    """Random scores: the baseline that every other criterion has to beat. Weights that are zero already score lowest.

    Args:
        weight: a float tensor of any shape.
        noise: numbers in (0, 1] of the same shape.

    >>> from keras import ops
    >>> from tfopt.pruning import random_scores
    >>> ops.convert_to_numpy(random_scores([0.0, 5.0], [0.5, 0.25])).tolist()
    [0.0, 0.25]
    """
    return ops.where(ops.equal(weight, 0), ops.zeros_like(noise), noise)


def taylor(weight: Any, gradient: Any) -> Any:
    """How much the loss changes without the weight, to first order: `|gradient * weight|`.

    Molchanov et al. (2019), "Importance estimation for neural network pruning", https://arxiv.org/abs/1906.10771
    (the square root of its equation 8, which gives the same order).

    Args:
        weight: a float tensor of any shape.
        gradient: gradient of the loss by the weight, averaged over the data; same shape.

    >>> from keras import ops
    >>> from tfopt.pruning import taylor
    >>> ops.convert_to_numpy(taylor([2.0, -3.0], [0.5, 0.25])).tolist()
    [1.0, 0.75]
    """
    return ops.abs(weight * ops.cast(gradient, weight.dtype if hasattr(weight, "dtype") else "float32"))


def fisher(weight: Any, squared_gradient: Any) -> Any:
    """How much the loss of a trained network grows without the weight, to second order: `F * weight**2 / 2`.

    Optimal brain damage (LeCun et al. 1990) with the diagonal of the Fisher information (the mean of the squared
    gradient) in place of that of the Hessian (Theis et al. 2018, https://arxiv.org/abs/1801.05787).

    Args:
        weight: a float tensor of any shape.
        squared_gradient: gradient of the loss by the weight, squared, then averaged over batches; same shape.

    >>> from keras import ops
    >>> from tfopt.pruning import fisher
    >>> ops.convert_to_numpy(fisher(ops.array([2.0, -3.0]), [0.5, 0.25])).tolist()
    [1.0, 1.125]
    """
    return 0.5 * ops.square(weight) * squared_gradient


def wanda(weight: Any, input_norm: Any) -> Any:
    """Weight times activation: `|w| * norm of the input that it multiplies`.

    Sun et al. (2023), "A simple and effective pruning approach for large language models",
    https://arxiv.org/abs/2306.11695, equation 1; here compared over the layer, not per output.

    Args:
        weight: a float tensor of shape (positions, inputs, outputs).
        input_norm: root mean square of each input over the data; shape (1, inputs, 1).

    >>> from keras import ops
    >>> from tfopt.pruning import wanda
    >>> ops.convert_to_numpy(wanda([[[2.0], [-3.0]]], [[[5.0], [1.0]]])).ravel().tolist()
    [10.0, 3.0]
    """
    return ops.abs(weight) * input_norm


def batch_norm_gamma(weight: Any, gamma: Any) -> Any:
    """The scale that the batch norm after a layer gives each channel: `|gamma|`.

    Liu et al. (2017), "Learning efficient convolutional networks through network slimming",
    https://arxiv.org/abs/1708.06519. For channels only.

    Args:
        weight: a float tensor of shape (positions, inputs, outputs).
        gamma: of shape (1, 1, outputs).

    >>> from keras import ops
    >>> from tfopt.pruning import batch_norm_gamma
    >>> ops.convert_to_numpy(batch_norm_gamma(ops.ones((1, 1, 2)), [[[-2.0, 0.5]]])).ravel().tolist()
    [2.0, 0.5]
    """
    return ops.broadcast_to(ops.abs(gamma), ops.shape(weight))


@dataclasses.dataclass(frozen=True)
class Criterion:
    """A row of the table: the function, and what it needs besides the weight.

    Args:
        function: takes the weight, and what `needs` names, as (positions, inputs, outputs); returns scores of the
            weight's shape.
        needs: keyword arguments of the function: `gradient`, `squared_gradient`, `input_norm`, `gamma`, `noise`.
        patterns: the patterns that it can be used with; all if empty.
        shrinks: whether the kept weights are shrunk by the threshold.
        by_magnitude: whether scores ascend with the magnitude in each layer, so that only a comparison of layers
            needs them.
        curve: if they are not the magnitudes, the function from sorted magnitudes to scores (see `_host.share`).
    """

    function: Callable[..., Any]
    needs: tuple[str, ...] = ()
    patterns: tuple[str, ...] = ()
    shrinks: bool = False
    by_magnitude: bool = False
    curve: Callable[[Any, float], Any] | None = None

    @property
    def needs_data(self) -> bool:
        """Whether it needs samples."""
        return not set(self.needs) <= {"gamma", "noise"}


CRITERIA: dict[str, Criterion] = {
    "magnitude": Criterion(magnitude, by_magnitude=True),
    "lamp": Criterion(lamp, by_magnitude=True, curve=lamp_curve),
    "random": Criterion(random_scores, ("noise",)),
    "taylor": Criterion(taylor, ("gradient",)),
    "fisher": Criterion(fisher, ("squared_gradient",)),
    "wanda": Criterion(wanda, ("input_norm",)),
    "batch_norm": Criterion(batch_norm_gamma, ("gamma",), patterns=("channels",)),
    "soft_threshold": Criterion(magnitude, patterns=("unstructured",), shrinks=True, by_magnitude=True),
}


def get_criterion(criterion: str | Callable[[Any], Any], pattern: str) -> Criterion:
    """The criterion for a name, or for a function from weight to scores.

    Raises:
        ValueError: the name is not known, or the criterion cannot be used with the pattern.
    """
    if callable(criterion):
        return Criterion(criterion)
    if criterion not in CRITERIA:
        raise ValueError(
            f"The 'criterion' argument of Pruning must be {named(CRITERIA)} or a function from a weight to scores of "
            f"its shape. Got {criterion!r} instead. 'magnitude' is the usual one."
        )
    found = CRITERIA[criterion]
    if found.patterns and pattern not in found.patterns:
        raise ValueError(
            f"The 'criterion' argument of Pruning must suit the pattern: {criterion!r} goes with "
            f"{named(found.patterns)}. Got pattern {pattern!r} instead. Use criterion='magnitude'."
        )
    return found
