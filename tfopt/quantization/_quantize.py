"""`quantize`: a Keras model becomes one that computes on the int8 grid, and can be trained on it."""

import dataclasses
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

import keras

from tfopt.graph import (
    Graph,
    Node,
    activation_name,
    build_model,
    capture,
    clone_operation,
    kind,
    substitute,
    tensors_in,
)
from tfopt.quantization._batch_norm import FusedBatchNormalization
from tfopt.quantization._calibration import observe_ranges
from tfopt.quantization._config import QuantConfig
from tfopt.quantization._decompose import decompose
from tfopt.quantization._fake_quantize import FakeQuantize
from tfopt.quantization._layers import (
    QuantizedConv1D,
    QuantizedConv2D,
    QuantizedConv2DTranspose,
    QuantizedDense,
    QuantizedDepthwiseConv1D,
    QuantizedDepthwiseConv2D,
)
from tfopt.quantization._model import Link, QuantizedModel
from tfopt.quantization._placement import Grid, Placement, place, row_of, split_activations
from tfopt.quantization._report import LayerReport, QuantizationReport

# The kind of a layer -> the class that takes its place.
REPLACEMENTS: dict[str, type[keras.layers.Layer]] = {
    "BatchNormalization": FusedBatchNormalization,
    "Conv1D": QuantizedConv1D,
    "Conv2D": QuantizedConv2D,
    "Conv2DTranspose": QuantizedConv2DTranspose,
    "Dense": QuantizedDense,
    "DepthwiseConv1D": QuantizedDepthwiseConv1D,
    "DepthwiseConv2D": QuantizedDepthwiseConv2D,
}


def quantize(model: keras.Model, calibration: Any, config: QuantConfig | None = None) -> keras.Model:
    """A copy of a model that computes as the int8 TFLite kernels will: train it, save it, `export` it.

    Weights are rounded to a symmetric int8 grid per output channel, activations to a grid per tensor, where the
    TFLite kernels round them and nowhere else. Without training this is post-training quantization; with `fit`
    it is quantization-aware training (Jacob et al. 2018, arXiv 1712.05877).

    Args:
        model: any built Keras model: Sequential, Functional, subclassed, nested, with shared layers. It is not
            changed, so that it can teach its quantized copy.
        calibration: inputs from which activation ranges start: arrays (samples first), a `tf.data.Dataset`, a
            `keras.utils.PyDataset` or an iterable of batches; targets are ignored. A few hundred will do.
        config: the scheme; `QuantConfig()` by default.

    Returns:
        A Functional Keras model with the original's inputs, outputs and layer names, uncompiled; it saves and loads
        as `.keras`. Its `report` attribute says what was done to each layer, and why not to others.

    Raises:
        TypeError: `model` is not a Keras 3 model.
        ValueError: the model is not built; the calibration data is empty, not finite or of the wrong shape.

    Example:

    >>> import keras, numpy as np, tfopt
    >>> model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(2, activation="relu", name="dense")])
    >>> q = tfopt.quantize(model, calibration=np.random.default_rng(0).normal(size=(64, 4)))
    >>> [type(layer).__name__ for layer in q.layers]
    ['InputLayer', 'FakeQuantize', 'QuantizedDense', 'FakeQuantize']
    """
    config = config or QuantConfig()
    captured = capture(model, _first_batch(model, calibration))
    # Separable convolutions come apart with their activation, whose split may show more to take apart.
    graph, linear = split_activations(decompose(captured))
    graph = decompose(graph)
    placement = place(graph)
    ranges = _ranges(graph, placement, calibration, linear, config.range_method)
    names = _unique([f"{grid.name}_quantize" for grid in placement.grids])
    layers = [
        _fake_quantizer(grid, graph, config, name) for grid, name in zip(placement.grids, names, strict=True)
    ]
    made: dict[int, keras.Operation] = {}
    replace = _replacing(linear, quantize_weights=True, made=made)
    quantized = build_model(_insert(graph, placement, layers), replace, model_class=QuantizedModel)
    for layer, limits in zip(layers, ranges, strict=True):
        if layer.fixed_range is None:
            layer.set_range(limits[:, 0], limits[:, 1])
    quantized.describe(_report(graph, placement), tuple(_links(placement, layers, made)))
    return quantized


def _first_batch(model: keras.Model, calibration: Any) -> Any:
    """Inputs that show a subclassed model's shapes; arrays only, for an iterator must not lose a batch."""
    is_arrays = hasattr(calibration, "shape") or isinstance(calibration, (list, dict))
    return calibration if is_arrays and not getattr(model, "inputs", None) else None


def _replacing(
    linear: set[int], quantize_weights: bool, made: dict[int, keras.Operation] | None = None
) -> Callable[[keras.Operation, str], keras.Operation]:
    """How `build_model` makes the new layers: with quantized weights or stock ones, activations split off.

    Each is remembered in `made`, by `id` of the operation that it replaces.
    """

    def replace(op: keras.Operation, name: str) -> keras.Operation:
        new = make(op, name)
        if made is not None:
            made[id(op)] = new
        return new

    def make(op: keras.Operation, name: str) -> keras.Operation:
        if isinstance(op, FakeQuantize):
            return op
        quantized = REPLACEMENTS.get(kind(op)) if quantize_weights else None
        if quantized is None and id(op) not in linear:
            return clone_operation(op, name)
        config = {**op.get_config(), "name": name}
        if id(op) in linear:
            config["activation"] = "linear"
        return (quantized or type(op)).from_config(config)

    return replace


def _ranges(graph: Graph, placement: Placement, calibration: Any, linear: set[int], method: str) -> list[Any]:
    """For each grid an array of shape (sites, 2)."""
    tensors = [site for grid in placement.grids for site in grid.sites]
    observed = observe_ranges(graph, tensors, calibration, _replacing(linear, quantize_weights=False), method)
    limits, start = [], 0
    for grid in placement.grids:
        limits.append(observed[start : start + len(grid.sites)])
        start += len(grid.sites)
    return limits


def _unique(names: list[str]) -> list[str]:
    """Numbers repeated names: a shared layer has a grid for each call."""
    seen: Counter[str] = Counter()
    unique = []
    for name in names:
        unique.append(f"{name}_{seen[name]}" if seen[name] else name)
        seen[name] += 1
    return unique


def _fake_quantizer(grid: Grid, graph: Graph, config: QuantConfig, name: str) -> FakeQuantize:
    is_final = all(id(site) in graph.output_ids and not graph.consumers[id(site)] for site in grid.sites)
    return FakeQuantize(
        num_sites=len(grid.sites),
        fixed_range=grid.fixed,
        momentum=config.momentum,
        float_training=grid.fixed is not None and is_final,
        name=name,
    )


def _links(
    placement: Placement, layers: list[FakeQuantize], made: dict[int, keras.Operation]
) -> Iterator[Link]:
    """Ties the quantizer of each site to the kernel that writes it."""
    quantizer = {id(grid): layer for grid, layer in zip(placement.grids, layers, strict=True)}
    for grid, layer in zip(placement.grids, layers, strict=True):
        for index, site in enumerate(grid.sites):
            feed = placement.feeds.get(id(site))
            if feed is not None:
                parts = {"weights": feed.weights, "norm": feed.norm}
                names = {part: made[id(op)].name for part, op in parts.items() if op is not None}
                sources = tuple(quantizer[id(source)].name for source in feed.sources)
                yield Link(layer.name, index, feed.kernel, sources, **names)


def _insert(graph: Graph, placement: Placement, layers: list[FakeQuantize]) -> Graph:
    """The graph with a fake quantizer behind each site; all readers of a site read it from there."""
    rounding: dict[int, Node] = {}
    inputs = {id(tensor) for tensor in tensors_in(graph.inputs)}
    for grid, layer in zip(placement.grids, layers, strict=True):
        for index, site in enumerate(grid.sites):
            output = keras.KerasTensor(site.shape, site.dtype)
            kwargs: dict[str, Any] = {"site": index} if index else {}
            if id(site) in inputs:
                kwargs["halves"] = "up"
            elif id(site) in placement.averaged:
                kwargs["halves"] = "away"
            if id(site) in placement.feeds and placement.feeds[id(site)].operands:
                kwargs["operands"] = placement.feeds[id(site)].operands
            rounding[id(site)] = Node(layer, (site,), kwargs, output, layer.name)
    values = {key: node.output for key, node in rounding.items()}
    rounding = {
        key: dataclasses.replace(node, kwargs=substitute(node.kwargs, values))
        for key, node in rounding.items()
    }
    nodes = [rounding[id(tensor)] for tensor in tensors_in(graph.inputs) if id(tensor) in rounding]
    for node in graph.nodes:
        nodes.append(node.reading(values))
        nodes.extend(rounding[id(tensor)] for tensor in tensors_in(node.outputs) if id(tensor) in rounding)
    outputs = keras.tree.map_structure(lambda tensor: values.get(id(tensor), tensor), graph.outputs)
    return dataclasses.replace(graph, nodes=tuple(nodes), outputs=outputs)


def _report(graph: Graph, placement: Placement) -> QuantizationReport:
    return QuantizationReport(graph.name, tuple(_row(node, placement) for node in graph.nodes))


def _row(node: Node, placement: Placement) -> LayerReport:
    row = row_of(node)
    if node.path in placement.fused:
        return LayerReport(node.path, kind(node.op), "fused", f"into {placement.fused[node.path]}")
    if node.opaque:
        return LayerReport(node.path, kind(node.op), "float", node.opaque)
    if row is None:
        return LayerReport(node.path, kind(node.op), "float", "no row in the placement table")
    if row.output != "own":
        return LayerReport(node.path, kind(node.op), "same grid", "as its input")
    fused = activation_name(node.op)
    note = f"with {fused}" if fused in row.fuses else ""
    return LayerReport(node.path, kind(node.op), "int8", note)
