"""What a cut network is compared with: the whole one, in which the removed channels are zero."""

import keras
import numpy as np

from tfopt.channels import Channels, channel_groups, exactly_removable
from tfopt.graph import build_model, capture


def found(model: keras.Model) -> Channels:
    """The units of a model that `shrink` can remove."""
    return exactly_removable(channel_groups(capture(model)))


def masked(channels: Channels, kept: np.ndarray, weights: str = "zeroed") -> keras.Model:
    """A copy of the original in which the removed channels are zero where they are made, and nothing is missing."""
    copies = {}

    def replace(op, name):
        copies[id(op)] = type(op).from_config({**op.get_config(), "name": name}) if op_is_layer(op) else op
        return copies[id(op)]

    model = build_model(channels.graph, replace)
    set_to_zero(channels, kept, weights, copies)
    return model


def set_to_zero(channels: Channels, kept: np.ndarray, weights: str = "zeroed", copies=None) -> None:
    """Sets the weights that make removed channels to zero, in the graph's own layers or in copies of them.

    These are kernels' output axes, and biases, gammas and betas unless weights are "as they are". All others are left
    as they are, so that a wrong idea of where a channel's values go shows.
    """
    for slot in channels.slots:
        follows = slot.role == "carried" and slot.weight.rsplit("/")[-1] in ("bias", "gamma", "beta")
        if slot.role != "made" and not (follows and weights == "zeroed"):
            continue
        gone = np.append(~kept, False)[slot.units]
        place = [id(w) for w in slot.op.weights].index(id(slot.variable))
        weight = (copies[id(slot.op)] if copies else slot.op).weights[place]
        values = np.array(weight)
        np.moveaxis(values, slot.axis, 0)[gone] = 0.0
        weight.assign(values)


def op_is_layer(op) -> bool:
    return isinstance(op, keras.layers.Layer)


def assert_equal(actual, expected, tolerance: float = 1e-5) -> float:
    """Asserts that outputs agree within `tolerance` of the largest value; returns the largest difference."""
    worst = 0.0
    for a, b in zip(keras.tree.flatten(actual), keras.tree.flatten(expected), strict=True):
        a, b = np.asarray(a, "float64"), np.asarray(b, "float64")
        assert a.shape == b.shape and np.isfinite(b).all()
        worst = max(worst, float(np.abs(a - b).max() / (np.abs(b).max() or 1.0)))
    assert worst <= tolerance, f"outputs differ by {worst:.2e} of the largest value"
    return worst
