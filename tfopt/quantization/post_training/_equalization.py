"""Cross-layer equalization: the same float function, with channels of like ranges."""

import dataclasses
from collections import Counter
from collections.abc import Iterator
from typing import Any

import keras
import numpy as np

from tfopt.graph import CHANNEL_AXES, Graph, Node, activation_name, affine_of, folds_into, kind

# Layers with a kernel -> its axis that indexes input channels. Output channels are on CHANNEL_AXES.
_INPUT_AXES = {
    "Dense": 0,
    "Conv1D": -2,
    "Conv2D": -2,
    "Conv2DTranspose": -1,
    "DepthwiseConv1D": -2,
    "DepthwiseConv2D": -2,
}
# f(s x) = s f(x) for s > 0, channel by channel.
_HOMOGENEOUS = ("linear", "relu", "leaky_relu", "PReLU")
_PASSING = (
    *_HOMOGENEOUS,
    *(f"{op}Pooling{n}D" for op in ("Max", "Average", "GlobalMax", "GlobalAverage") for n in (1, 2)),
    *("ZeroPadding1D", "ZeroPadding2D", "Cropping1D", "Cropping2D", "UpSampling1D", "UpSampling2D"),
    *("Dropout", "SpatialDropout1D", "SpatialDropout2D", "Identity", "ActivityRegularization"),
    *("Flatten", "Reshape"),
)
_ROUNDS = 40
_TOLERANCE = 1e-3


@dataclasses.dataclass(frozen=True, eq=False)
class _Pair:
    """Two kernels with nothing between them but what a positive factor per channel passes through."""

    first: Node
    norm: Node | None
    second: Node


def equalizing_factors(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """The `s` by which the channels between two kernels are divided, so that both have like ranges.

    `s = sqrt(r1 / r2)` makes `r1 / s = r2 * s`: with a range per tensor no channel is then rounded more coarsely
    than it must be (Nagel et al. 2019, arXiv 1906.04721, equation 11).

    Args:
        first: `r1`, the largest weight that makes each channel, shape (channels,).
        second: `r2`, the largest weight that reads each channel.

    Returns:
        Factors above 0; 1 where a range is 0.

    >>> import numpy as np
    >>> from tfopt.quantization.post_training._equalization import equalizing_factors
    >>> equalizing_factors(np.array([4.0, 1.0, 0.0]), np.array([1.0, 4.0, 3.0])).tolist()
    [2.0, 0.5, 1.0]
    """
    used = (first > 0) & (second > 0)
    return np.sqrt(np.where(used, first, 1.0) / np.where(used, second, 1.0))


def equalize_graph(graph: Graph) -> tuple[Graph, dict[str, str]]:
    """The graph with the ranges of its kernels equalized across layers (Nagel et al. 2019, arXiv 1906.04721).

    Each channel between two kernels is divided by a factor in the first (or in its batch norm) and multiplied by it
    in the second; chains of kernels take turns until the factors settle. The float function stays the same to
    rounding. Grids per tensor gain most; with a grid per output channel the first kernel's own rounding does not
    change, but the activations between, on one grid, and the second kernel's inputs do.

    Args:
        graph: a captured graph. It is not changed.

    Returns:
        A graph in which equalized layers are new ones, and for each kernel's path what was done, or why nothing.
    """
    notes: dict[str, str] = {}
    calls = Counter(id(node.op) for node in graph.nodes)
    pairs = []
    for node in graph.nodes:
        if kind(node.op) in _INPUT_AXES and not node.opaque:
            found = _pair(graph, node, calls)
            if isinstance(found, str):
                notes[node.path] = f"not equalized: {found}"
            else:
                pairs.append(found)
                notes[node.path] = f"equalized with {found.second.path}"
    return _rescaled(graph, *_factors(pairs)), notes


def _pair(graph: Graph, node: Node, calls: Counter[int]) -> _Pair | str:
    """The kernel behind `node` that can be equalized with it; else why there is none."""
    if calls[id(node.op)] > 1:
        return "it is called more than once"
    if activation_name(node.op) not in _HOMOGENEOUS:
        return f"{activation_name(node.op) or 'its activation'} is not positively homogeneous"
    norm, last = None, node
    for reader in _readers(graph, node):
        channels = last.output.shape[-1]
        if norm is None and last is node and folds_into(reader, node):
            if calls[id(reader.op)] > 1:
                return f"{reader.path} is called more than once"
            norm = reader
        elif kind(reader.op) in _INPUT_AXES and not reader.opaque:
            return _closed(_Pair(node, norm, reader), calls)
        elif kind(reader.op) not in _PASSING:
            return f"{reader.path} ({kind(reader.op)}) follows"
        elif reader.output.shape[-1] is None or channels is None or reader.output.shape[-1] % channels:
            return f"{reader.path} mixes channels"
        last = reader
    return "its output is read by several layers, or is the model's"


def _readers(graph: Graph, node: Node) -> Iterator[Node]:
    """The nodes behind `node`, as long as each is the only reader of the one before."""
    reader = graph.only_consumer(node.output)
    while reader is not None:
        yield reader
        if isinstance(reader.outputs, (list, tuple, dict)):
            return
        reader = graph.only_consumer(reader.output)


def _closed(pair: _Pair, calls: Counter[int]) -> _Pair | str:
    second = pair.second
    if calls[id(second.op)] > 1:
        return f"{second.path} is called more than once"
    if getattr(second.op, "groups", 1) > 1:
        return f"{second.path} has groups"
    return pair


def _factors(pairs: list[_Pair]) -> tuple[dict[int, np.ndarray], dict[int, np.ndarray]]:
    """By `id(op)`: what each kernel's outputs are divided by, and what its inputs are multiplied by."""
    kernels = {id(node.op): node for pair in pairs for node in (pair.first, pair.second)}
    weights = {key: np.abs(np.asarray(node.op.kernel, "float64")) for key, node in kernels.items()}
    for pair in pairs:
        if pair.norm is not None:
            factor = np.abs(affine_of(pair.norm)[0])  # type: ignore[index]
            weights[id(pair.first.op)] *= _along_outputs(pair.first.op, factor)
    made = {id(pair.first.op): np.ones(pair.first.output.shape[-1]) for pair in pairs}
    read: dict[int, np.ndarray] = {}
    for _ in range(_ROUNDS if len(pairs) > 1 else 1):
        largest = 0.0
        for pair in pairs:
            first, second = pair.first.op, pair.second.op
            factor = equalizing_factors(
                _output_ranges(first, weights[id(first)]),
                _input_ranges(second, weights[id(second)], len(made[id(first)])),
            )
            made[id(first)] = made[id(first)] * factor
            weights[id(first)] /= _along_outputs(first, factor)
            weights[id(second)] *= _along_inputs(second, factor)
            read[id(second)] = made[id(first)]
            largest = max(largest, float(np.abs(np.log(factor)).max()))
        if largest < _TOLERANCE:
            break
    return made, read


def _output_ranges(layer: keras.layers.Layer, weight: np.ndarray) -> np.ndarray:
    kept = {axis % weight.ndim for axis in CHANNEL_AXES[kind(layer)]}
    return weight.max(axis=tuple(axis for axis in range(weight.ndim) if axis not in kept)).reshape(-1)


def _input_ranges(layer: keras.layers.Layer, weight: np.ndarray, channels: int) -> np.ndarray:
    """The largest weight on each channel; after Flatten a Dense layer reads each one many times."""
    rows = np.moveaxis(weight, _INPUT_AXES[kind(layer)], 0)
    return rows.reshape(-1, channels, *rows.shape[1:]).max(axis=(0, *range(2, rows.ndim + 1)))


def _along_outputs(layer: keras.layers.Layer, factor: np.ndarray) -> np.ndarray:
    shape = layer.kernel.shape
    kept = {axis % len(shape) for axis in CHANNEL_AXES[kind(layer)]}
    return factor.reshape([size if axis in kept else 1 for axis, size in enumerate(shape)])


def _along_inputs(layer: keras.layers.Layer, factor: np.ndarray) -> np.ndarray:
    shape, at = layer.kernel.shape, _INPUT_AXES[kind(layer)] % len(layer.kernel.shape)
    tiled = np.tile(factor, shape[at] // len(factor))
    return tiled.reshape([size if axis == at else 1 for axis, size in enumerate(shape)])


def _rescaled(graph: Graph, made: dict[int, np.ndarray], read: dict[int, np.ndarray]) -> Graph:
    """The graph with new layers in the place of those that have factors."""
    norms = {}
    for node in graph.nodes:
        follower = graph.only_consumer(node.output) if id(node.op) in made else None
        if follower is not None and folds_into(follower, node):
            norms[id(follower.op)] = made[id(node.op)]

    def expand(node: Node) -> tuple[list[Node], Any] | None:
        key = id(node.op)
        if key in norms:
            return [dataclasses.replace(node, op=_divided_norm(node.op, norms[key]))], node.outputs
        if key not in made and key not in read:
            return None
        follower = graph.only_consumer(node.output)
        has_norm = follower is not None and id(follower.op) in norms
        layer = _with_factors(node.op, None if has_norm else made.get(key), read.get(key))
        return [dataclasses.replace(node, op=layer)], node.outputs

    return graph.map_nodes(expand)


def _with_factors(
    layer: keras.layers.Layer, made: np.ndarray | None, read: np.ndarray | None
) -> keras.layers.Layer:
    kernel, *bias = (np.asarray(weight, "float64") for weight in layer.get_weights())
    if read is not None:
        kernel = kernel * _along_inputs(layer, read)
    if made is not None:
        kernel, bias = kernel / _along_outputs(layer, made), [one / made for one in bias]
    new = type(layer).from_config(layer.get_config())
    new.build_from_config(layer.get_build_config())
    new.set_weights([kernel, *bias])
    return new


def _divided_norm(layer: keras.layers.Layer, made: np.ndarray) -> keras.layers.Layer:
    """A batch norm with its outputs divided; one without gamma gets one, which training then moves too."""
    weights = {weight.name: np.asarray(weight, "float64") for weight in layer.weights}
    weights["gamma"] = weights.get("gamma", np.ones(len(made))) / made
    if "beta" in weights:
        weights["beta"] = weights["beta"] / made
    new = type(layer).from_config({**layer.get_config(), "scale": True})
    new.build_from_config(layer.get_build_config())
    new.set_weights([weights[weight.name] for weight in new.weights])
    return new
