"""The zeros of any model, pruned here or elsewhere."""

import keras
import numpy as np

from tfopt.pruning._backend import synchronize
from tfopt.pruning._report import LayerSparsity, PruningReport
from tfopt.pruning._targets import find_targets, labels_of


def sparsity_report(model: keras.Model) -> PruningReport:
    """How many weights of each kernel are zero now.

    Args:
        model: a built Keras model.

    Returns:
        A row for each kernel that `Pruning` could prune, and one with the reason for each layer that it would leave.

    Raises:
        ValueError: the model is not built, or has no kernels.

    >>> import keras
    >>> from tfopt.pruning import sparsity_report
    >>> dense = keras.layers.Dense(2, kernel_initializer="zeros", name="dense")
    >>> sparsity_report(keras.Sequential([keras.Input((4,)), dense])).sparsity
    1.0
    """
    synchronize(model)
    targets, dense = find_targets(model, where=".*")
    kernels = tuple(
        LayerSparsity(label, tuple(target.variable.shape), _zeros(target.variable))
        for label, target in zip(labels_of(targets), targets, strict=True)
    )
    others = tuple(LayerSparsity(path, reason=reason) for path, reason in dense)
    return PruningReport(model.name, (*kernels, *others), model.count_params())


def _zeros(variable: keras.Variable) -> int:
    return int(np.count_nonzero(keras.ops.convert_to_numpy(variable) == 0))
