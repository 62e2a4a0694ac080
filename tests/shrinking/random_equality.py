"""The property: a shrunk random network computes what the whole one computes in which its channels are zero."""

import numpy as np

from tests.shrinking.equality import assert_equal, set_to_zero
from tests.shrinking.random_graphs import random_model
from tfopt.channels import channel_groups, exactly_removable, leftovers
from tfopt.graph import capture
from tfopt.shrinking import cut


def check(seed: int) -> float | None:
    """Removes random channels of the network of a seed.

    Half of the seeds leave the biases, gammas and betas of removed channels as they are, as `channels="zero"` does.

    Returns:
        The largest difference, relative to the largest output; None where nothing can be removed, or the network
        itself computes infinity (an exponential of an exponential).

    Raises:
        AssertionError: the difference is above 1e-5.
    """
    model, rng = random_model(seed), np.random.default_rng(seed)
    weights = ("zeroed", "as they are")[seed % 2]
    channels = channel_groups(capture(model))
    if weights == "zeroed":
        channels = exactly_removable(channels)
    gone = rng.uniform(size=channels.count) < 0.5
    for group in channels.groups:
        gone[group.units[0]] = False
    while weights == "as they are" and (refused := leftovers(channels, gone, weights).refused):
        gone[list(refused)] = False
    if not gone.any():
        return None
    x = rng.normal(size=(3, *model.input_shape[1:])).astype("float32")
    small = cut(channels, ~gone, weights)
    set_to_zero(channels, ~gone, weights)
    expected = np.asarray(model(x, training=False))
    return assert_equal(small(x, training=False), expected) if np.isfinite(expected).all() else None
