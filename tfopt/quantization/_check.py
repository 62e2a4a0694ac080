"""`check`: what would become of a model on a target, before any training."""

import dataclasses
from collections.abc import Iterator

import keras

from tfopt.graph import Graph, Node, tensors_in
from tfopt.kernels import TARGETS, has_weights, is_preprocessing, refused
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
        Its warnings name layers whose widths leave a part of what the target computes at a time empty.

    Raises:
        TypeError: `model` is not a Keras 3 model.
        ValueError: the model is not built, or the target is unknown.

    Example:

    >>> import keras, tfopt
    >>> inputs = keras.Input((4,))
    >>> model = keras.Model(inputs, keras.ops.prod(keras.layers.Dense(2, name="head")(inputs), axis=-1))
    >>> [(row.path, row.done) for row in tfopt.check(model, "tflm").layers]
    [('head', 'int8'), ('prod', 'refused')]
    """
    config = QuantConfig.for_target(target, strict=False)
    rewritten = rewrite(model, None, config)
    placement = place_for(rewritten.graph, config)
    rows = tuple(
        _unless_refused(describe_node(node, placement), node, target) for node in rewritten.graph.nodes
    )
    return QuantizationReport(
        rewritten.graph.name, rows, target, tuple(_empty_lanes(rewritten.graph, target))
    )


def _empty_lanes(graph: Graph, target: str) -> Iterator[str]:
    """A sentence where kernels compute channels that are not there; what the model returns has the width it has."""
    width = TARGETS[target].channels
    found = [
        f"{node.path} ({node.output.shape[-1]})"
        for node in graph.nodes
        if has_weights(node) and not _is_end(graph, node) and node.output.shape[-1] % (width or 1)
    ]
    if found:
        yield (
            f"The target {target!r} computes {width} channels at a time, and some of them are empty in "
            f"{', '.join(found)}. Multiples of {width} cost no more time; shrink(..., divisor={target!r}) keeps them."
        )


def _is_end(graph: Graph, node: Node) -> bool:
    """Whether the model returns what a layer writes, as it is or through one operation."""
    reader = graph.only_consumer(node.output)
    ends = [node, *([reader] if reader else [])]
    return any(id(tensor) in graph.output_ids for one in ends for tensor in tensors_in(one.outputs))


def _unless_refused(row: LayerReport, node: Node, target: str) -> LayerReport:
    if is_preprocessing(node):
        return dataclasses.replace(row, done="refused", note="runs before the file: cut the model behind it")
    operator = refused(node, TARGETS[target])
    if not operator:
        return row
    note = f"{TARGETS[target].title} has no kernel for {operator}: replace the layer"
    return dataclasses.replace(row, done="refused", note=note)
