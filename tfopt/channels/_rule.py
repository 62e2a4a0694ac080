"""What a row of the table of rules says."""

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any

import keras
import numpy as np

from tfopt.channels._channels import Sizes
from tfopt.channels._tracer import ChannelTracer
from tfopt.graph import Node

# Set on a layer's class by `tfopt.register_channels`. Not inherited: a subclass may compute something else.
ATTRIBUTE = "channel_rule"

Config = dict[str, Any]


@dataclasses.dataclass(frozen=True)
class ChannelRule:
    """What one kind of operation does with channels.

    Attributes:
        flow: records in a `ChannelTracer` which weights and outputs are indexed by the channels of the inputs.
        weights: names of all weights that `flow` knows; a layer with other weights is not changed.
        config: for a layer whose weights are cut, the arguments of its config that change.
        values: for a layer whose weights are cut, their new values, unless these are just the remaining old ones.
        layer: the class of the new layer, if it is not that of the old one.
        call: for an operation with sizes or positions among its arguments, the node that replaces it.
        bias: for a layer that multiplies channels with a kernel and adds a bias, the axes of its output that the bias
            indexes, or would index: what removed channels leave behind for the kernel is added to it.
        counts_zeros: for an operation that is exact only if removed channels are zero where it reads them, the axes
            of which this is true.
        reads_itself: whether a layer reads its own outputs, so that removed ones must be zero.
        closed: whether the rule is for the layer as a whole, which capture does not open.
    """

    flow: Callable[[ChannelTracer, Node], None]
    weights: tuple[str, ...] = ()
    config: Callable[[Node, Sizes], Config] = lambda node, sizes: {}
    values: Callable[[Node, Sizes, list[np.ndarray]], list[np.ndarray]] = lambda node, sizes, values: values
    layer: type[keras.layers.Layer] | None = None
    call: Callable[[Node, Sizes], Node] | None = None
    bias: Callable[[Node], tuple[int, ...]] | None = None
    counts_zeros: Callable[[Node], Sequence[int]] | None = None
    reads_itself: bool = False
    closed: bool = False
