"""Targets: which weights of a model are pruned, and why the others are not."""

import collections
import dataclasses
import math
from collections.abc import Iterable
from typing import Any

import keras

from tfopt.graph import LayerFilter, flatten_layers, own_weights, selects
from tfopt.pruning._first_and_last import find_edges

_L = keras.layers

# Layer classes (and their subclasses) and the name of the weight that is pruned.
_PRUNED: tuple[tuple[tuple[type, ...], str], ...] = (
    ((_L.Dense, _L.EinsumDense, _L.Conv1D, _L.Conv2D, _L.Conv3D), "kernel"),
    ((_L.Conv1DTranspose, _L.Conv2DTranspose, _L.Conv3DTranspose), "kernel"),
    ((_L.SeparableConv1D, _L.SeparableConv2D), "pointwise_kernel"),
)

PRUNED_CLASSES = (
    *(layer for classes, _ in _PRUNED for layer in classes),
    _L.DepthwiseConv1D,
    _L.DepthwiseConv2D,
)

# The weights of recurrent cells, whatever their class: Keras hides that of ConvLSTM, and users write their own.
_CELL = ("kernel", "recurrent_kernel")

# Layer classes that stay dense unless `where` names them or they hold more than a part of the kernel weights: the
# reason, the weight that is pruned then, and the part.
_DENSE: tuple[tuple[tuple[type, ...], str, str | None, float], ...] = (
    (
        (_L.DepthwiseConv1D, _L.DepthwiseConv2D),
        "depthwise kernels hold about 1 % of the parameters (Zhu & Gupta 2017, section 4.2)",
        "kernel",
        1.0,
    ),
    (
        (_L.Embedding,),
        "embeddings are table lookups: zeros save no computation, and this holds less than half of the weights",
        "embeddings",
        0.5,
    ),
    (
        (_L.BatchNormalization, _L.LayerNormalization, _L.GroupNormalization, _L.RMSNormalization),
        "normalization: few weights, each of which scales a whole channel",
        None,
        1.0,
    ),
)

# The first convolution and the output layer stay dense if they hold at most this part of the kernel weights.
EDGE_SHARE = 0.1


@dataclasses.dataclass(frozen=True)
class Target:
    """A weight to prune and the layer that holds it."""

    layer: keras.layers.Layer
    variable: keras.Variable


def find_targets(
    model: keras.Model, where: LayerFilter = None
) -> tuple[tuple[Target, ...], tuple[tuple[str, str], ...]]:
    """The weights of `model` that `Pruning` prunes, and the layers that stay dense.

    Without `where`, it prunes the trainable kernels of Dense, EinsumDense, Conv1D/2D/3D, their transposes and
    subclasses, the pointwise kernels of SeparableConv, and the kernels and recurrent kernels of recurrent layers (those
    of LSTM, GRU, SimpleRNN, ConvLSTM, and cells of your own with these weights). These stay dense:

    - biases and normalization: each number serves a whole channel;
    - depthwise kernels, where zeros save little, and embeddings, unless one holds more than half of the weights;
    - convolutions that read the model's input, and layers that make its output, as long as each holds at most
      10 % of the kernel weights. No later layer can restore what the first one drops, or correct the last one, while
      other layers can hold these few zeros at almost no cost: Zhu & Gupta (2017) and Gale et al. (2019,
      https://arxiv.org/abs/1902.09574) leave them dense to keep the accuracy. A layer that holds more (a large
      vocabulary, a network of one layer) is pruned, because leaving it dense would defeat the purpose.

    With `where`, exactly the selected layers are pruned, wherever they are in the model, depthwise kernels and
    embeddings included. In a layer class that is not known here (a custom layer), these are the trainable weights with
    two or more axes. `where=".*"` prunes all of them. Only normalization and biases stay dense.

    Args:
        model: a built model.
        where: None for the rule above; a regular expression that is searched in `layer.path`; or a function that
            takes a layer and returns a bool.

    Returns:
        Targets, and pairs (layer path, reason) for every other layer that holds weights.

    Raises:
        ValueError: the model is not built, `where` matches no layer, or nothing is left to prune.

    >>> import keras
    >>> from tfopt.pruning import find_targets
    >>> layers = [keras.layers.Dense(8, name="a"), keras.layers.LayerNormalization(name="b")]
    >>> model = keras.Sequential([keras.Input((4,)), *layers], name="net")
    >>> targets, dense = find_targets(model)
    >>> [target.variable.path for target in targets], dense
    (['net/a/kernel'], (('net/b', 'normalization: few weights, each of which scales a whole channel'),))
    """
    if not model.built or not model.weights:
        raise ValueError(
            f"The model '{model.name}' must be built before it is pruned. Got a model without weights instead. "
            "Give it an Input, or call it once on a batch, before fit."
        )
    layers = [layer for layer in flatten_layers(model) if _has_parameters(layer)]
    selected = {id(layer) for layer in layers if selects(where, layer, path_of(layer))}
    total = sum(math.prod(weight.shape) for weight in _matrices(model.trainable_variables))
    if not selected:
        raise ValueError(
            f"The 'where' argument of Pruning must match a layer of model '{model.name}'. Got {where!r}, which "
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
        found, reason = _weights_to_prune(layer, None if where is not None else total, trainable, owners)
        targets.extend(Target(layer, variable) for variable in found)
        if reason:
            dense.append((path_of(layer), reason))
    if where is None:
        targets, spared = _spare_edges(model, targets)
        dense.extend(spared)
    if not targets:
        reasons = "; ".join(f"{path}: {reason}" for path, reason in dense)
        raise ValueError(
            f"Pruning found no weight to prune in model '{model.name}'. {reasons}. "
            "Unfreeze a layer, or name another in where=."
        )
    return tuple(targets), tuple(dense)


def _spare_edges(model: keras.Model, targets: list[Target]) -> tuple[list[Target], list[tuple[str, str]]]:
    """Remove the small first and last layers from the targets, with the reason."""
    edges = find_edges(model)
    total = sum(math.prod(target.variable.shape) for target in targets)
    kept, spared = [], []
    for target in targets:
        share = math.prod(target.variable.shape) / total
        place = (id(target.layer) in edges.first) + 2 * (id(target.layer) in edges.last)
        if not place or share > EDGE_SHARE:
            kept.append(target)
            continue
        reason = (
            f"first convolution, {100 * share:.1f} % of the weights: no later layer can restore what it drops"
            if place == 1
            else f"output layer, {100 * share:.1f} % of the weights: no later layer can correct what it drops"
        )
        spared.append((path_of(target.layer), reason))
    return kept, spared


def labels_of(members: Iterable[Any]) -> list[str]:
    """The layer's path for each weight, with the weight's own name where several of the layer are pruned."""
    members = list(members)
    counts = collections.Counter(id(member.layer) for member in members)
    return [
        path_of(member.layer) + (f"/{member.variable.name}" if counts[id(member.layer)] > 1 else "")
        for member in members
    ]


def path_of(layer: keras.layers.Layer) -> str:
    """The layer's path, or its name if it has no path because it was never built."""
    return layer.path or layer.name


def _has_parameters(layer: keras.layers.Layer) -> bool:
    """Whether the layer has weights that training changes, or would change if the layer were not frozen."""
    weights = _float_weights(layer)
    return bool(weights) and (not layer.trainable or any(weight.trainable for weight in weights))


def _float_weights(layer: keras.layers.Layer) -> list[keras.Variable]:
    # The states of random generators are integers.
    return [weight for weight in own_weights(layer) if keras.backend.is_float_dtype(weight.dtype)]


def _matrices(weights: Iterable[keras.Variable]) -> list[keras.Variable]:
    """The weights with two or more axes; a GRU's bias has two, too."""
    return [weight for weight in weights if len(weight.shape) >= 2 and weight.name != "bias"]


def _weights_to_prune(
    layer: keras.layers.Layer, total: int | None, trainable: set[int], owners: dict[int, str]
) -> tuple[list[keras.Variable], str]:
    """The weights of one layer that are pruned, or the reason why there are none.

    `total` is the number of weights in all kernels; None if the layer is one that `where` names.
    """
    weights = _float_weights(layer)
    names: tuple[str, ...] = next(((name,) for classes, name in _PRUNED if isinstance(layer, classes)), ())
    names = names or (_CELL if {weight.name for weight in weights} >= set(_CELL) else ())
    for classes, reason, name, part in _DENSE:
        if isinstance(layer, classes):
            size = sum(math.prod(weight.shape) for weight in weights if weight.name == name)
            if name is None or (total is not None and size <= part * total):
                return [], reason
            names = (name,)
    if names:
        weights = [weight for weight in weights if weight.name in names]
    elif total is not None:
        return [], f"no rule for {type(layer).__name__}: name the layer in where= to prune its weights"
    weights = _matrices(weights)
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
