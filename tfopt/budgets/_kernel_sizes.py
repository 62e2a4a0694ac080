"""Convolutions whose kernels may become smaller: the centre of a kernel is a kernel."""

from collections.abc import Mapping, Sequence
from typing import Any

import keras
import numpy as np

from tfopt.graph import Graph, Operation, build_model, clone_operation, kind

_KINDS = ("Conv1D", "Conv2D", "Conv3D", "DepthwiseConv1D", "DepthwiseConv2D")
# The smallest size of a kernel that is left (Cai et al. 2020, section 3).
_LEAST = 3


def kernel_parts(layer: Any) -> tuple[float, ...]:
    """The parts of a layer's kernel size that it may be brought to; none where its outputs would not stay in place.

    The centre of a kernel reads the same places where the padding is `"same"`: it begins one place later for two fewer,
    as long as the size is not below the stride.

    >>> import keras
    >>> from tfopt.budgets._kernel_sizes import kernel_parts
    >>> [kernel_parts(keras.layers.Conv2D(4, size, padding="same")) for size in (3, 5, (1, 7))]
    [(), (0.6,), ()]
    """
    if kind(layer) not in _KINDS or layer.padding != "same" or len(set(layer.kernel_size)) > 1:
        return ()
    size, least = layer.kernel_size[0], max(_LEAST, *layer.strides)
    return tuple(one / size for one in range(size - 2, least - 1, -2))


def smaller_size(layer: Any, part: float) -> int:
    """The size that a part of a layer's kernel size is."""
    return round(layer.kernel_size[0] * part)


def centre(kernel: np.ndarray, size: int, axes: int) -> np.ndarray:
    """The middle of a kernel, of so many places along each of its first axes.

    >>> import numpy as np
    >>> from tfopt.budgets._kernel_sizes import centre
    >>> centre(np.arange(5), 3, axes=1).tolist()
    [1, 2, 3]
    """
    edge = (kernel.shape[0] - size) // 2
    return kernel[(slice(edge, edge + size),) * axes]


def centre_masks(layer: Any, parts: Sequence[float]) -> np.ndarray:
    """For each part of the kernel size, ones in the middle of the kernel; shape `(parts, *kernel_size, 1, 1)`."""
    axes = len(layer.kernel_size)
    masks = np.zeros((len(parts), *layer.kernel_size, 1, 1), "float32")
    for mask, part in zip(masks, parts, strict=True):
        centre(mask, smaller_size(layer, part), axes)[...] = 1.0
    return masks


def build_with_centres(graph: Graph, parts: Mapping[str, float]) -> keras.Model:
    """A model of a graph in which some convolutions have the centres of their kernels.

    Args:
        graph: the graph.
        parts: of kernel sizes, by the paths of layers.
    """
    paths = {id(node.op): node.path for node in reversed(graph.nodes)}
    made: list[tuple[Any, Any]] = []

    def replace(op: Operation, name: str) -> Operation:
        part = parts.get(paths[id(op)])
        if part is None:
            return clone_operation(op, name)
        config = {**op.get_config(), "kernel_size": smaller_size(op, part), "name": name}
        made.append((op, type(op).from_config(config)))
        return made[-1][1]

    model = build_model(graph, replace)
    for old, new in made:
        kernel, *others = old.get_weights()
        new.set_weights([centre(kernel, new.kernel_size[0], len(new.kernel_size)), *others])
    return model
