"""What an export multiplies each channel of a kernel with: the factor of the batch norm that is folded into it."""

import keras
import numpy as np

from tfopt.graph import Graph, capture, flatten_layers, fold_factor, folds_into


def find_norms(model: keras.Model) -> dict[int, keras.layers.BatchNormalization]:
    """The batch norm that is folded into each layer, by `id(layer)`.

    A model that cannot be captured itself (a `Distiller`) is searched for models inside it.

    >>> import keras
    >>> from tfopt.clustering._folding import find_norms
    >>> layers = [keras.layers.Conv2D(2, 1), keras.layers.BatchNormalization(name="norm")]
    >>> [norm.name for norm in find_norms(keras.Sequential([keras.Input((4, 4, 1)), *layers])).values()]
    ['norm']
    """
    for inner in flatten_layers(model):
        if isinstance(inner, keras.Model) and inner.built:
            try:
                return _norms_in(capture(inner))
            except (ValueError, TypeError):
                continue
    return {}


def _norms_in(graph: Graph) -> dict[int, keras.layers.BatchNormalization]:
    return {id(before.op): node.op for before, node in graph.lone_pairs() if folds_into(node, before)}


def factor_of(norm: keras.layers.BatchNormalization | None, channels: int) -> np.ndarray:
    """The factor of each channel, (channels, 1); 1 where folding changes nothing, or would make a channel zero.

    >>> from tfopt.clustering._folding import factor_of
    >>> factor_of(None, 2).tolist()
    [[1.0], [1.0]]
    """
    factor = np.ones(channels) if norm is None else np.asarray(fold_factor(norm), "float32")
    if factor.size != channels:
        factor = np.ones(channels)
    return np.where(factor == 0, 1.0, factor).astype("float32").reshape(-1, 1)
