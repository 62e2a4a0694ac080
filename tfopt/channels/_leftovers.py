"""What removed channels leave behind: numbers that no input changes, such as sigmoid(0), and where they can go."""

import dataclasses

import numpy as np

from tfopt.channels._absorb import contribution
from tfopt.channels._channels import Channels
from tfopt.channels._rules import rule_of
from tfopt.channels._walk import ZEROED, Reading, Unrunnable, Walk
from tfopt.graph import Graph, tensors_in

# Sizes to try for the dimensions that the inputs leave open. Two of them must give the same numbers.
_OPEN_SIZES = ((8, 12), (32, 64), (128, 256))


@dataclasses.dataclass(frozen=True, eq=False)
class Leftovers:
    """What must be done so that a cut is exact.

    Attributes:
        biases: for `id(op)`, what is added to the layer's bias, an array of the bias' shape before the cut, and the
            first axis of the layer's outputs that it indexes.
        refused: for each unit whose removal would not be exact, the reason.
    """

    biases: dict[int, tuple[np.ndarray, int]]
    refused: dict[int, str]


def exactly_removable(channels: Channels, gone: np.ndarray | None = None, weights: str = ZEROED) -> Channels:
    """The same, without the units whose removal would change what other channels compute.

    A removed channel is zero where it is made, but not behind a sigmoid: it leaves 0.5. The kernel that reads it has
    these 0.5 added to its bias. That is not possible where the number differs from place to place, as it does at the
    border of a padded convolution: such units are not removed, and the reason says so.

    The graph is run on random samples in which the units are zero. What they leave behind cannot depend on the inputs,
    so that one run tells.

    Args:
        channels: what `channel_groups` found.
        gone: bool array: the units to remove; all by default.
        weights: `"zeroed"`: the biases, gammas and betas of removed channels are zero; `"as they are"`: they are not
            changed; `"any"`: zero, and what is found holds for any other values of the weights too.

    >>> import keras
    >>> from tfopt.channels import channel_groups, exactly_removable
    >>> from tfopt.graph import capture
    >>> def padded(activation):
    ...     inputs = keras.Input((8, 8, 3))
    ...     x = keras.layers.Conv2D(4, 3, activation=activation)(inputs)
    ...     model = keras.Model(inputs, keras.layers.Conv2D(1, 3, padding="same", name="last")(x))
    ...     return exactly_removable(channel_groups(capture(model)))
    >>> padded("relu").count, padded("sigmoid").count
    (4, 0)
    >>> sorted(padded("sigmoid").reasons.values())[1]
    'what these channels leave behind once removed differs from place to place in last'
    """
    gone = np.ones(channels.count, bool) if gone is None else np.asarray(gone, bool)
    while True:
        refused = leftovers(channels, gone, weights).refused
        if not refused:
            return channels
        stays = np.zeros(channels.count, bool)
        stays[list(refused)] = True
        channels, gone = channels.without(stays, refused), gone[~stays]


def leftovers(channels: Channels, gone: np.ndarray, weights: str = ZEROED) -> Leftovers:
    """What the units leave behind for the kernels that read them, if they are removed together.

    Args:
        channels: what `channel_groups` found.
        gone: bool array: the units to remove.
        weights: as for `exactly_removable`.
    """
    if not gone.any():
        return Leftovers({}, {})
    walk = Walk(channels, gone, weights)
    failure = ""
    for sizes in _sizes(channels.graph):
        try:
            for size in sizes:
                walk.run(size)
            break
        except Unrunnable as error:
            failure = str(error)
            walk = Walk(channels, gone, weights)
    else:
        return Leftovers({}, {unit: failure for unit in np.flatnonzero(gone).tolist()})
    return _absorbed(walk)


def _absorbed(walk: Walk) -> Leftovers:
    biases: dict[int, tuple[np.ndarray, int]] = {}
    refused = dict(walk.refused)
    calls: dict[int, list[Reading]] = {}
    for reading in walk.found:
        calls.setdefault(id(reading.node.op), []).append(reading)
    for op, readings in calls.items():
        node = readings[0].node
        units = sorted({unit for reading in readings for unit in reading.units})
        if not units:
            continue
        row, reason = (
            rule_of(node),
            f"{node.path} counts these channels as zeros, which they are not once removed",
        )
        if row is not None and row.bias is not None:
            axes = row.bias(node)
            bias, reason = contribution(readings, axes, walk)
            if bias is not None:
                biases[op] = bias, min(axes)
                continue
        refused.update(dict.fromkeys(units, reason))
    return Leftovers(biases, refused)


def _sizes(graph: Graph) -> tuple[tuple[int, ...], ...]:
    open_ = any(None in tensor.shape[1:] for tensor in tensors_in(graph.inputs))
    return _OPEN_SIZES if open_ else ((0,),)
