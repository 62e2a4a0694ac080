"""The layers inside the wrappers of tensorflow-model-optimization."""

from typing import Any

import numpy as np

from tfopt.legacy._keras2 import WRAPPERS, is_a
from tfopt.legacy._weights import Weight, last_name, variables_of, weights_of


def unwrap(layer: Any) -> tuple[Any, list[Weight]]:
    """A Keras 2 layer without tfmot's wrapper, and its weights: masked, on their clusters, or the float ones.

    Args:
        layer: any layer of Keras 2.

    Returns:
        The inner layer and its weights; the layer itself and its own weights if it is not a wrapper.
    """
    name = next((name for name in WRAPPERS if is_a(layer, name)), None)
    if name is None:
        return layer, weights_of(layer)
    if name == "PruneLowMagnitude":
        return layer.layer, _pruned(layer)
    if name.startswith("ClusterWeights"):
        return layer.layer, _clustered(layer)
    return layer.layer, _quantized(layer)


def _pruned(wrapper: Any) -> list[Weight]:
    """Masked once more, because a training step after the last update of the masks fills the zeros."""
    masks = {id(variable): mask.numpy() for variable, mask, _ in wrapper.pruning_vars}
    return [
        Weight(last_name(one), one.numpy() * masks.get(id(one), 1)) for one in variables_of(wrapper.layer)
    ]


def _clustered(wrapper: Any) -> list[Weight]:
    """The kernel is no longer a variable of the layer: it is computed from centroids."""
    wrapper.update_clustered_weights_associations()
    weights = [Weight(last_name(variable), variable.numpy()) for variable in wrapper.layer.weights]
    for position, name in sorted(wrapper.position_original_weights.items()):
        # "kernel", "kernel/0" of a stack of cells, "_query_dense.kernel" of an attention layer
        value = np.asarray(wrapper.get_weight_from_layer(name))
        weights.insert(position, Weight(name.split("/")[0].split(".")[-1], value))
    return weights


def _quantized(wrapper: Any) -> list[Weight]:
    """The float weights: the layer itself holds their rounded values of the last call."""
    weights = [Weight(last_name(variable), variable.numpy()) for variable, *_ in wrapper._weight_vars]
    own = {id(variable) for variable, *_ in wrapper._weight_vars}
    variables = {id(v): v for v in wrapper.layer.weights if id(v) not in own}.values()
    return weights + [Weight(last_name(variable), variable.numpy()) for variable in variables]
