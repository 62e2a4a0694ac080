"""The report of a model: what was done to each of its layers."""

import keras

from tfopt._keras_model import check_keras_model
from tfopt._report import Report
from tfopt.pruning import sparsity_report
from tfopt.quantization import QuantizedModel


def report(model: keras.Model) -> Report:
    """What was done to the layers of a model: bits, ranges and errors, or zeros.

    Use it before `export`, to see which layers cost accuracy and which were not changed, and why.

    Args:
        model: what `quantize` returned, or a `Distiller` around it: a row per operation with bits, range, step and the
            weights' signal-to-quantization-noise ratio, `10 log10(sum w^2 / sum (w - Q(w))^2)`. Any other built model,
            pruned or not: a row per kernel with its fraction of zeros.

    Returns:
        A `QuantizationReport` or a `PruningReport`: it prints as a table and has `to_dict()`.

    Raises:
        TypeError: `model` is not a Keras 3 model.
        ValueError: the model is not built, or has no kernels.

    Example:

    >>> import keras, numpy as np, tfopt
    >>> dense = keras.layers.Dense(2, kernel_initializer="ones", name="dense")
    >>> model = keras.Sequential([keras.Input((4,)), dense], name="net")
    >>> tfopt.report(model).sparsity
    0.0
    >>> tfopt.report(tfopt.quantize(model, calibration=np.ones((1, 4)))).layers[0].weight_bits
    8
    """
    check_keras_model(model)
    student = getattr(model, "student", model)
    if isinstance(student, QuantizedModel) and student.report is not None:
        return student.report
    return sparsity_report(student)
