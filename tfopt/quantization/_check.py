"""`check`: what would become of a model on a target, before any training."""

import dataclasses

import keras

from tfopt.graph import Node
from tfopt.kernels import TARGETS, is_preprocessing, refused
from tfopt.quantization._config import QuantConfig
from tfopt.quantization._describe import describe_node
from tfopt.quantization._report import LayerReport, QuantizationReport
from tfopt.quantization._rewrite import place_for, rewrite


def check(model: keras.Model, target: str = "litert") -> QuantizationReport:
    """Which layers of a model would compute in integers on a target, which would stay float, and which it refuses.

    Nothing is calibrated or trained, and the model stays as it is: seconds instead of an export that fails after hours
    of training.

    Args:
        model: any built Keras model.
        target: the runtime, see `QuantConfig.for_target`.

    Returns:
        A report with a row for each operation: `done` is `"int8"`, `"same grid"`, `"fused"`, `"float"` (computed
        between a DEQUANTIZE and a QUANTIZE) or `"refused"` (the runtime cannot load a file with it), `note` says why.

    Raises:
        TypeError: `model` is not a Keras 3 model.
        ValueError: the model is not built, or the target is unknown.

    Example:

    >>> import keras, tfopt
    >>> model = keras.Sequential([keras.Input((4, 4, 4, 1)), keras.layers.Conv3DTranspose(2, 2, name="volume")])
    >>> [(row.path, row.done) for row in tfopt.check(model, "tflm").layers]
    [('volume', 'refused')]
    """
    config = QuantConfig.for_target(target, strict=False)
    rewritten = rewrite(model, None, config)
    placement = place_for(rewritten.graph, config)
    rows = tuple(
        _unless_refused(describe_node(node, placement), node, target) for node in rewritten.graph.nodes
    )
    return QuantizationReport(rewritten.graph.name, rows, target)


def _unless_refused(row: LayerReport, node: Node, target: str) -> LayerReport:
    if is_preprocessing(node):
        return dataclasses.replace(row, done="refused", note="runs before the file: cut the model behind it")
    operator = refused(node, TARGETS[target])
    if not operator:
        return row
    note = f"{TARGETS[target].title} has no kernel for {operator}: replace the layer"
    return dataclasses.replace(row, done="refused", note=note)
