"""The weights of a Keras 2 layer, copied to the Keras 3 layer for it."""

from typing import Any, NamedTuple

import keras
import numpy as np

# The state of `adapt` of a Discretization; its result is an argument of the layer.
_COUNTS = "summary"


class Weight(NamedTuple):
    """A value and the last part of its name: "kernel" of "dense/kernel:0"."""

    name: str
    value: np.ndarray


def variables_of(layer: Any) -> list[Any]:
    """The variables of a Keras 2 layer and of all inside it, in the order in which they were made.

    Unlike in `layer.weights`, the order does not depend on what is frozen.
    """
    parts = list(layer._flatten_layers())
    variables = [one for part in parts for one in part._trainable_weights + part._non_trainable_weights]
    unique = {id(variable): variable for variable in variables if hasattr(variable, "name")}
    return [variable for variable in unique.values() if last_name(variable) != _COUNTS]


def weights_of(layer: Any) -> list[Weight]:
    """The weights of a Keras 2 layer and of all inside it."""
    return [Weight(last_name(variable), variable.numpy()) for variable in variables_of(layer)]


def last_name(variable: Any) -> str:
    """ "kernel" of "dense/kernel:0"."""
    return variable.name.split(":")[0].split("/")[-1]


def set_weights(layer: keras.layers.Layer, weights: list[Weight]) -> None:
    """Sets the weights of a Keras 3 layer by name and shape; those of the same name and shape in order.

    Args:
        layer: a built layer.
        weights: the values, as many as the layer has weights.

    Raises:
        ValueError: a value or a weight has no counterpart.
    """
    rest = list(weights)
    unmatched = [target for target in layer.weights if not _take(rest, target, by_name=True)]
    # Keras 3 has other names for some weights.
    unmatched = [target for target in unmatched if not _take(rest, target, by_name=False)]
    if unmatched or rest:
        raise ValueError(
            f"The weights of the layer {layer.name!r} do not fit. Keras 3 expected "
            f"{', '.join(f'{one.name} {tuple(one.shape)}' for one in unmatched) or 'no more'}; Keras 2 has "
            f"{', '.join(f'{one.name} {one.value.shape}' for one in rest) or 'no more'}. "
            "Rebuild the layer with Keras 3, and copy the weights with set_weights."
        )
    if hasattr(layer, "finalize_state"):  # Normalization computes with constants made from its weights
        layer.finalize_state()


def _take(rest: list[Weight], target: keras.Variable, by_name: bool) -> bool:
    for index, weight in enumerate(rest):
        if weight.value.shape == tuple(target.shape) and (not by_name or weight.name == target.name):
            target.assign(weight.value)
            del rest[index]
            return True
    return False
