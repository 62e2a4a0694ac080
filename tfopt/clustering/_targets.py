"""Targets: which weights of a model are clustered, in which space, and why the others are not."""

import dataclasses
from typing import Any

import keras

from tfopt.clustering._space import Space
from tfopt.graph import (
    CHANNEL_AXES,
    LayerFilter,
    check_finite,
    einsum_axes,
    flatten_layers,
    kind,
    own_weights,
    selects,
)
from tfopt.kernels import IntegerWeights

# Words in the names of weights that are numbers of a channel, and not a matrix: files keep them in 32 bits or in few
# bytes.
_NOT_A_MATRIX = ("bias", "alpha", "gamma", "beta")

# Codes of a float layer, were it quantized without settings.
_LARGEST_CODE = 127


@dataclasses.dataclass(frozen=True)
class Target:
    """A weight to cluster, the layer that holds it, and its rows."""

    layer: keras.layers.Layer
    variable: keras.Variable
    space: Space


def find_targets(
    model: keras.Model, where: LayerFilter, count: int, granularity: str, domain: str | None
) -> tuple[tuple[Target, ...], tuple[tuple[str, str], ...]]:
    """The weights that `Clustering` clusters, and the layers that stay as they are.

    Args:
        model: a built model.
        where: which layers.
        count: how many clusters a row is to have in the end.
        granularity: `"tensor"` or `"channel"`.
        domain: `"code"`, `"value"` or None.

    Returns:
        Targets, and pairs (layer path, reason) for every other layer with weights of two or more axes.

    Raises:
        ValueError: the model is not built, or no weight is left to cluster.

    >>> import keras
    >>> from tfopt.clustering import find_targets
    >>> layers = [keras.layers.Dense(8, name="a"), keras.layers.Dense(2, name="b")]
    >>> model = keras.Sequential([keras.Input((4,)), *layers], name="net")
    >>> targets, others = find_targets(model, None, 16, "tensor", None)
    >>> [target.variable.path for target in targets], others
    (['net/a/kernel'], (('net/b', 'its kernel holds 16 numbers, no more than there are clusters'),))
    """
    if not model.built or not model.weights:
        raise ValueError(
            f"The model '{model.name}' must be built before it is clustered. Got a model without weights instead. "
            "Give it an Input, or call it once on a batch, before fit."
        )
    check_finite(model)
    trainable = {id(variable) for variable in model.trainable_variables}
    owners: dict[int, str] = {}
    targets: list[Target] = []
    others: list[tuple[str, str]] = []
    for layer in flatten_layers(model):
        matrices = [weight for weight in own_weights(layer) if _is_matrix(weight)]
        path = layer.path or layer.name
        reasons = []
        for weight in matrices:
            space = _space(layer, weight, granularity, domain)
            reason = "not selected by where="
            if selects(where, layer, path):
                reason = _why_not(layer, weight, space, count, trainable, owners)
            if reason:
                reasons.append(reason)
            else:
                owners[id(weight)] = path
                targets.append(Target(layer, weight, space))
        others.extend((path, reason) for reason in dict.fromkeys(reasons))
    if not targets:
        listed = "; ".join(f"{path}: {reason}" for path, reason in others)
        raise ValueError(
            f"Clustering found no weight to cluster in model '{model.name}'. {listed or 'It has no kernel'}. Name "
            "other layers in where=, unfreeze one, or take fewer clusters."
        )
    return tuple(targets), tuple(others)


def _is_matrix(weight: keras.Variable) -> bool:
    is_float = keras.backend.is_float_dtype(weight.dtype)
    return is_float and len(weight.shape) >= 2 and not any(word in weight.name for word in _NOT_A_MATRIX)


def _why_not(
    layer: Any, weight: keras.Variable, space: Space, count: int, trainable: set[int], owners: dict[int, str]
) -> str:
    """Why a weight is not clustered; empty if it is."""
    if id(weight) in owners:
        return f"shares its weight with {owners[id(weight)]}"
    if id(weight) not in trainable:
        return "frozen"
    numbers = space.rows[1]
    if numbers <= count:
        of_what = f"a channel of its {weight.name}" if space.per_channel else f"its {weight.name}"
        return f"{of_what} holds {numbers} numbers, no more than there are clusters"
    grid = _grid(layer, weight)
    if grid is not None and grid.levels <= count:
        return f"its grid of {grid.bits} bits has {grid.levels} values, no more than there are clusters"
    return ""


def _grid(layer: Any, weight: keras.Variable) -> Any:
    """The grid that a quantized layer rounds this weight to, or None."""
    names = getattr(layer, "weight_names", ())
    return layer.grid if isinstance(layer, IntegerWeights) and weight.name in names else None


def _space(layer: Any, weight: keras.Variable, granularity: str, domain: str | None) -> Space:
    grid = _grid(layer, weight)
    shape = tuple(weight.shape)
    channels = tuple(sorted(axis % len(shape) for axis in _channel_axes(layer)))
    codes = domain == "code" or (domain is None and grid is not None)
    one_step = grid is not None and grid.granularity == "tensor"
    # A row for each channel keeps its few values under any step of the channel. So must a kernel whose channels have
    # steps that are powers of two: no end of a channel's weights says which.
    if granularity == "channel" or (codes and grid is not None and grid.power_of_two and not one_step):
        return Space(shape, channels, per_channel=True)
    largest = _LARGEST_CODE if grid is None else grid.largest_code
    return Space(shape, channels, codes=codes, one_step=one_step, largest_code=largest)


def _channel_axes(layer: Any) -> tuple[int, ...]:
    """The axes of a layer's weights that index output channels; the last one where no table knows."""
    if isinstance(layer, keras.layers.EinsumDense):
        axes = einsum_axes(layer)
        return axes.kept if axes else ()
    return CHANNEL_AXES.get(kind(layer), (-1,))
