"""What a cut network is compared with: the whole one, in which the removed channels are zero."""

import keras
import numpy as np

from tfopt.channels import Channels
from tfopt.graph import build_model


def masked(channels: Channels, kept: np.ndarray, read: bool = False) -> keras.Model:
    """A copy of the original in which the removed channels are zero, and nothing is missing.

    Zeroed are the weights that make a removed channel and those that scale or shift it: kernels' output axes,
    biases, gamma, beta. The kernels that read the channel are left as they are, so that a wrong idea of where
    its values go shows; with `read` they are zeroed too.
    """
    copies = {}

    def replace(op, name):
        copies[id(op)] = type(op).from_config({**op.get_config(), "name": name}) if op_is_layer(op) else op
        return copies[id(op)]

    model = build_model(channels.graph, replace)
    for slot in channels.slots:
        if slot.role == "read" and not read:
            continue
        gone = np.append(~kept, False)[slot.units]
        place = [w.name for w in slot.op.weights].index(slot.weight)
        weight = copies[id(slot.op)].weights[place]
        values = np.array(weight)
        np.moveaxis(values, slot.axis, 0)[gone] = 0.0
        weight.assign(values)
    return model


def op_is_layer(op) -> bool:
    return isinstance(op, keras.layers.Layer)


def assert_equal(actual, expected, tolerance: float = 1e-4) -> float:
    """Asserts that outputs agree within `tolerance` of the largest value; returns the largest difference."""
    worst = 0.0
    for a, b in zip(keras.tree.flatten(actual), keras.tree.flatten(expected), strict=True):
        a, b = np.asarray(a, "float64"), np.asarray(b, "float64")
        assert a.shape == b.shape and np.isfinite(b).all()
        worst = max(worst, float(np.abs(a - b).max() / (np.abs(b).max() or 1.0)))
    assert worst <= tolerance, f"outputs differ by {worst:.2e} of the largest value"
    return worst
