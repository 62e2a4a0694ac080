"""How much a channel matters: one score per unit; the lowest are removed first."""

from collections.abc import Callable
from typing import Any

import keras
import numpy as np

from tfopt.channels import MADE, Channels, Slot
from tfopt.graph import kind
from tfopt.shrinking._gradients import squared_contributions

ScoreFunction = str | Callable[[Any], Any]


def score(
    channels: Channels,
    criterion: ScoreFunction = "magnitude",
    model: keras.Model | None = None,
    data: Any = None,
) -> np.ndarray:
    """Scores the units of a graph.

    - `"magnitude"`: mean absolute weight of the filters that make the unit's channels (Li et al. 2017, "Pruning Filters
      for Efficient ConvNets", https://arxiv.org/abs/1608.08710), divided by its mean over the layer, so that layers
      are comparable. Channels that are pruned to zero score 0.
    - `"batch_norm"`: mean |gamma| of the batch norms after it (Liu et al. 2017, "Network Slimming",
      https://arxiv.org/abs/1708.06519). Units without a batch norm score infinity: they are kept.
    - `"taylor"`: the change of the loss by the removal, to first order, (sum of gradient * weight)^2, averaged over
      batches (Molchanov et al. 2019, "Importance Estimation for Neural Network Pruning",
      https://arxiv.org/abs/1906.10771).
    - `"random"`: the baseline that a criterion has to beat; fixed seed.
    - a function from a weight to an array of the same shape, used as `"magnitude"` uses the absolute value.

    Args:
        channels: what `channel_groups` found.
        criterion: see above.
        model: the compiled model; only for `"taylor"`.
        data: batches of inputs and targets; only for `"taylor"`.

    Returns:
        A float64 array of shape (units,).

    Raises:
        ValueError: the criterion is not known, lacks its data, or there is no batch norm for `"batch_norm"`.

    >>> import keras
    >>> from tfopt.graph import capture
    >>> from tfopt.channels import channel_groups
    >>> from tfopt.shrinking import score
    >>> hidden = keras.layers.Dense(3)
    >>> channels = channel_groups(capture(keras.Sequential([keras.Input((1,)), hidden, keras.layers.Dense(1)])))
    >>> hidden.set_weights([np.array([[2.0, 0.0, -4.0]]), np.zeros(3)])
    >>> score(channels).tolist()
    [1.0, 0.0, 2.0]
    """
    if callable(criterion):
        return _filters(channels, criterion)
    if criterion == "magnitude":
        return _filters(channels, np.abs)
    if criterion == "batch_norm":
        return _batch_norm(channels)
    if criterion == "random":
        return np.random.default_rng(0).uniform(size=channels.count)
    if criterion == "taylor":
        made = [slot for slot in channels.slots if slot.role == MADE]
        return _mean_over_units(channels, made, squared_contributions(made, model, data))
    raise ValueError(
        "The 'criterion' argument must be 'magnitude', 'batch_norm', 'taylor', 'random' or a function from a weight to "
        f"scores of its shape. Got {criterion!r} instead."
    )


def _weight(slot: Slot) -> np.ndarray:
    return np.asarray(slot.variable, "float64")


def _mean_over_units(
    channels: Channels, slots: list[Slot], scores: list[np.ndarray], missing: float = 0.0
) -> np.ndarray:
    """The mean over all entries of a unit in `slots`; `scores` has an array per slot."""
    total, count = np.zeros(channels.count), np.zeros(channels.count)
    for slot, values in zip(slots, scores, strict=True):
        free = slot.units >= 0
        np.add.at(total, slot.units[free], values[free])
        np.add.at(count, slot.units[free], 1)
    return np.where(count > 0, total / np.maximum(count, 1), missing)


def _filters(channels: Channels, criterion: Callable[[Any], Any]) -> np.ndarray:
    slots = [slot for slot in channels.slots if slot.role == MADE]
    scores = []
    for slot in slots:
        weight = _weight(slot)
        values = np.asarray(keras.ops.convert_to_numpy(criterion(weight.astype("float32"))), "float64")
        if values.shape != weight.shape:
            raise ValueError(
                f"The 'criterion' argument must be a function that returns scores of its argument's shape, "
                f"{weight.shape} for {slot.op.name!r}. Got shape {values.shape} instead."
            )
        filters = np.moveaxis(values, slot.axis, 0).reshape(weight.shape[slot.axis], -1).mean(axis=1)
        scores.append(filters / (filters.mean() or 1.0))
    return _mean_over_units(channels, slots, scores)


def _batch_norm(channels: Channels) -> np.ndarray:
    slots = [
        slot for slot in channels.slots if slot.weight == "gamma" and kind(slot.op) == "BatchNormalization"
    ]
    if not slots:
        raise ValueError(
            "The 'batch_norm' criterion must find a batch norm with a gamma after a layer of "
            f"{channels.graph.name!r}. Got none. Use criterion='magnitude' instead."
        )
    return _mean_over_units(channels, slots, [np.abs(_weight(slot)) for slot in slots], np.inf)
