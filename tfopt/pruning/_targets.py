"""Targets: which weights of a model are pruned, and why the others are not."""

import dataclasses
import re
from collections.abc import Callable

import keras

from tfopt.graph import flatten_layers, own_weights

Where = str | Callable[[keras.layers.Layer], bool] | None

_L = keras.layers

# Layer classes (and their subclasses) and the name of the weight that is pruned.
_PRUNED: tuple[tuple[tuple[type, ...], str], ...] = (
    ((_L.Dense, _L.EinsumDense, _L.Conv1D, _L.Conv2D, _L.Conv3D), "kernel"),
    ((_L.Conv1DTranspose, _L.Conv2DTranspose, _L.Conv3DTranspose), "kernel"),
    ((_L.SeparableConv1D, _L.SeparableConv2D), "pointwise_kernel"),
)

# Layer classes that stay dense, and the reason.
_DENSE: tuple[tuple[tuple[type, ...], str], ...] = (
    (
        (_L.DepthwiseConv1D, _L.DepthwiseConv2D),
        "depthwise kernels hold about 1 % of the parameters (Zhu & Gupta 2017, section 4.2)",
    ),
    ((_L.Embedding,), "embeddings are looked up, so that zeros save no computation"),
    (
        (_L.BatchNormalization, _L.LayerNormalization, _L.GroupNormalization, _L.RMSNormalization),
        "normalization: few weights, of which each scales a whole channel",
    ),
)


@dataclasses.dataclass(frozen=True)
class Target:
    """A weight to prune and the layer that holds it."""

    layer: keras.layers.Layer
    variable: keras.Variable


def find_targets(
    model: keras.Model, where: Where = None
) -> tuple[tuple[Target, ...], tuple[tuple[str, str], ...]]:
    """The weights of `model` that `Pruning` prunes, and the layers that stay dense.

    Pruned are the trainable kernels of Dense, EinsumDense, Conv1D/2D/3D, their transposes and subclasses, and
    the pointwise kernels of SeparableConv. Biases, normalization, depthwise kernels and embeddings stay dense.
    Of a layer class that is not known here (a custom layer), the trainable weights with two or more axes are
    pruned if `where` selects the layer.

    Args:
        model: a built model.
        where: None for every layer; a regular expression that is searched in `layer.path`; or a function that
            takes a layer and returns a bool.

    Returns:
        Targets, and pairs (layer path, reason) for every other layer that holds weights.

    Raises:
        ValueError: if the model is not built, `where` matches no layer, or nothing is left to prune.

    >>> import keras
    >>> from tfopt.pruning import find_targets
    >>> layers = [keras.layers.Dense(8, name="a"), keras.layers.LayerNormalization(name="b")]
    >>> model = keras.Sequential([keras.Input((4,)), *layers], name="net")
    >>> targets, dense = find_targets(model)
    >>> [target.variable.path for target in targets], dense
    (['net/a/kernel'], (('net/b', 'normalization: few weights, of which each scales a whole channel'),))
    """
    if not model.built or not model.weights:
        raise ValueError(
            f"The model '{model.name}' must be built before it is pruned. Got a model without weights instead. "
            "Give it an Input, or call it once on a batch, before fit."
        )
    layers = [layer for layer in flatten_layers(model) if _has_parameters(layer)]
    selected = {id(layer) for layer in layers if _selects(where, layer)}
    if not selected:
        raise ValueError(
            f"The 'where' parameter of Pruning must match a layer of model '{model.name}'. Got {where!r}, which "
            f"matches none, instead. The layers with weights are: {', '.join(map(path_of, layers))}."
        )
    trainable = {id(variable) for variable in model.trainable_variables}
    owners: dict[int, str] = {}
    targets: list[Target] = []
    dense: list[tuple[str, str]] = []
    for layer in layers:
        if id(layer) not in selected:
            dense.append((path_of(layer), "not selected by where="))
            continue
        found, reason = _weights_to_prune(layer, where is not None, trainable, owners)
        targets.extend(Target(layer, variable) for variable in found)
        if reason:
            dense.append((path_of(layer), reason))
    if not targets:
        reasons = "; ".join(f"{path}: {reason}" for path, reason in dense)
        raise ValueError(
            f"Pruning found no weight to prune in model '{model.name}'. {reasons}. "
            "Unfreeze a layer, or name another in where=."
        )
    return tuple(targets), tuple(dense)


def path_of(layer: keras.layers.Layer) -> str:
    """The layer's path, or its name where it was never built and has none."""
    return layer.path or layer.name


def _has_parameters(layer: keras.layers.Layer) -> bool:
    """Whether the layer has weights that training changes, or would if it were not frozen: not statistics alone."""
    weights = _float_weights(layer)
    return bool(weights) and (not layer.trainable or any(weight.trainable for weight in weights))


def _float_weights(layer: keras.layers.Layer) -> list[keras.Variable]:
    # The states of random generators are integers.
    return [weight for weight in own_weights(layer) if keras.backend.is_float_dtype(weight.dtype)]


def _selects(where: Where, layer: keras.layers.Layer) -> bool:
    if where is None:
        return True
    if callable(where):
        return bool(where(layer))
    return re.search(where, path_of(layer)) is not None


def _weights_to_prune(
    layer: keras.layers.Layer, named: bool, trainable: set[int], owners: dict[int, str]
) -> tuple[list[keras.Variable], str]:
    """The weights of one layer that are pruned, else the reason why there are none."""
    for classes, reason in _DENSE:
        if isinstance(layer, classes):
            return [], reason
    weights = _float_weights(layer)
    rule = next((name for classes, name in _PRUNED if isinstance(layer, classes)), None)
    if rule is not None:
        weights = [weight for weight in weights if weight.name == rule]
    elif not named:
        return [], f"no rule for {type(layer).__name__}: name the layer in where= to prune its weights"
    weights = [weight for weight in weights if len(weight.shape) >= 2]
    if not weights:
        return [], "has no weight with two or more axes"
    weights = [weight for weight in weights if id(weight) in trainable]
    if not weights:
        return [], "frozen"
    fresh = [weight for weight in weights if id(weight) not in owners]
    if not fresh:
        return [], f"shares its weight with {owners[id(weights[0])]}"
    owners.update((id(weight), path_of(layer)) for weight in fresh)
    return fresh, ""
