"""How the inputs of a layer lie: what a factorization must keep is what the layer makes of them, not its kernel."""

import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import keras
import numpy as np

from tfopt._samples import batches
from tfopt.graph import Evaluation, Graph, Node, einsum_axes, kind

# A share of the mean square is added in every direction: the samples do not show all that comes.
_DAMPING = 0.01


class Inputs(NamedTuple):
    """The square root of the second moment `X'X / n` of a layer's inputs, and its inverse, both symmetric.

    The error of a kernel `V` in place of `W` is `|X (W - V)|^2 = n |root (W - V)|^2`, so that the truncated singular
    value decomposition of `root W` is the best one for these inputs (Wang et al. 2024, "SVD-LLM", arXiv 2403.07378;
    for convolutions Zhang et al. 2015, arXiv 1411.4229).

    Attributes:
        root: `(m, m)`.
        inverse: `(m, m)`.
    """

    root: np.ndarray
    inverse: np.ndarray


def weighed(kernel: np.ndarray, inputs: Inputs | None) -> np.ndarray:
    """A kernel `(..., m, n)` as its inputs see it; as it is where they are not known."""
    return kernel if inputs is None else inputs.root @ kernel


def unweighed(kernel: np.ndarray, inputs: Inputs | None) -> np.ndarray:
    """What `weighed` gave, or its first factor, as a kernel again."""
    return kernel if inputs is None else inputs.inverse @ kernel


def inputs_of(moment: np.ndarray) -> Inputs:
    """The roots of a second moment, which is made invertible.

    >>> from tfopt.factorization._inputs import inputs_of
    >>> [np.round(part, 2).tolist() for part in inputs_of(np.diag([4.0, 1.0]))]
    [[[2.01, 0.0], [0.0, 1.01]], [[0.5, 0.0], [0.0, 0.99]]]
    """
    values, vectors = np.linalg.eigh(moment)
    roots = np.sqrt(np.maximum(values, 0.0) + _DAMPING * max(float(values.mean()), 1e-12))
    return Inputs((vectors * roots) @ vectors.T, (vectors / roots) @ vectors.T)


def measure_inputs(graph: Graph, nodes: Sequence[Node], calibration: Any) -> dict[int, Inputs]:
    """What the layers of these nodes read while samples run through a graph, by the layer's id.

    A convolution's inputs are its channels, at all positions alike. Other nodes are passed over.

    Raises:
        ValueError: the samples do not fit the inputs.
    """
    nodes = [node for node in nodes if kind(node.op) in _ROWS and not node.opaque and _is_product(node)]
    run = Evaluation(graph, [node.inputs[0] for node in nodes])
    sums: dict[int, Any] = {}
    for x, _ in batches(calibration, keras.tree.flatten(graph.inputs), "calibration"):
        for node, value in zip(nodes, run(x), strict=True):
            rows = _ROWS[kind(node.op)](node.op, np.asarray(value, "float64"))
            total, count = sums.get(id(node.op), (0.0, 0))
            sums[id(node.op)] = total + rows.T @ rows, count + len(rows)
    return {key: inputs_of(total / count) for key, (total, count) in sums.items()}


def _is_product(node: Node) -> bool:
    return kind(node.op) != "EinsumDense" or einsum_axes(node.op) is not None


def _last(layer: keras.layers.Layer, x: np.ndarray) -> np.ndarray:
    return x.reshape(-1, x.shape[-1])


def _channels(layer: keras.layers.Layer, x: np.ndarray) -> np.ndarray:
    return _last(layer, x if layer.data_format == "channels_last" else np.moveaxis(x, 1, -1))


def _summed(layer: keras.layers.Layer, x: np.ndarray) -> np.ndarray:
    axes: Any = einsum_axes(layer)
    size = math.prod(layer.kernel.shape[axis] for axis in axes.summed)
    return x.transpose(axes.inputs).reshape(-1, size)


# Kind of layer -> the rows that its kernel is multiplied with. Words of an Embedding are no directions.
_ROWS: dict[str, Callable[[keras.layers.Layer, np.ndarray], np.ndarray]] = {
    "Dense": _last,
    "EinsumDense": _summed,
    "Conv1D": _channels,
    "Conv2D": _channels,
    "Conv3D": _channels,
}
