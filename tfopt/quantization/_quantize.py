"""`quantize`: a Keras model becomes one that computes on the int8 grid, and can be trained on it."""

import dataclasses
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import keras

from tfopt._samples import gather
from tfopt.graph import (
    Graph,
    Node,
    activation_name,
    build_model,
    capture,
    clone_operation,
    flatten_layers,
    kind,
    own_weights,
    substitute,
    tensors_in,
)
from tfopt.quantization._batch_norm import FusedBatchNormalization
from tfopt.quantization._calibration import observe_ranges
from tfopt.quantization._config import QuantConfig
from tfopt.quantization._constants import round_constants
from tfopt.quantization._decompose import decompose
from tfopt.quantization._equalization import equalize as equalize_graph
from tfopt.quantization._fake_quantize import FakeQuantize
from tfopt.quantization._island import FloatBoundary
from tfopt.quantization._layers import (
    QuantizedConv1D,
    QuantizedConv1DTranspose,
    QuantizedConv2D,
    QuantizedConv2DTranspose,
    QuantizedDense,
    QuantizedDepthwiseConv1D,
    QuantizedDepthwiseConv2D,
    QuantizedEinsumDense,
    QuantizedPReLU,
)
from tfopt.quantization._model import Link, QuantizedModel
from tfopt.quantization._placement import Grid, Placement, place, split_activations
from tfopt.quantization._post_training import check_rounding, improve
from tfopt.quantization._register import registered_class
from tfopt.quantization._report import LayerReport, QuantizationReport, with_notes
from tfopt.quantization._table import OWN, is_island, row_of

# The kind of a layer -> the class that takes its place.
REPLACEMENTS: dict[str, type[keras.layers.Layer]] = {
    "BatchNormalization": FusedBatchNormalization,
    "Conv1D": QuantizedConv1D,
    "Conv1DTranspose": QuantizedConv1DTranspose,
    "Conv2D": QuantizedConv2D,
    "Conv2DTranspose": QuantizedConv2DTranspose,
    "Dense": QuantizedDense,
    "DepthwiseConv1D": QuantizedDepthwiseConv1D,
    "DepthwiseConv2D": QuantizedDepthwiseConv2D,
    "EinsumDense": QuantizedEinsumDense,
    "PReLU": QuantizedPReLU,
}


def quantize(
    model: keras.Model,
    calibration: Any,
    config: QuantConfig | None = None,
    *,
    strict: bool = False,
    equalize: bool = False,
    rounding: str = "nearest",
    correct_bias: bool = False,
) -> keras.Model:
    """A copy of a model that computes as the int8 TFLite kernels will: train it, save it, `export` it.

    Weights are rounded to a symmetric int8 grid per output channel, activations to a grid per tensor, where the
    TFLite kernels round them and nowhere else. What LiteRT has no int8 kernel for stays float, between a
    DEQUANTIZE and a QUANTIZE operator, and is in the report with the reason. Without training this is post-training
    quantization; with `fit` it is quantization-aware training (Jacob et al. 2018, arXiv 1712.05877).

    Args:
        model: any built Keras model: Sequential, Functional, subclassed, nested, with shared layers. It is not
            changed, so that it can teach its quantized copy.
        calibration: inputs from which activation ranges start: arrays (samples first), a `tf.data.Dataset`, a
            `keras.utils.PyDataset` or an iterable of batches; targets are ignored. A few hundred will do.
        config: the scheme; `QuantConfig()` by default.
        strict: make it an error if any layer has to stay float.
        equalize: give the channels between two layers like ranges first, where ReLU or nothing lies between them
            (cross-layer equalization, Nagel et al. 2019, arXiv 1906.04721). Grids per tensor gain most; with a step
            per output channel it acts on the activations and on what reads them.
        rounding: which of its two neighbours on the grid a weight goes to: the `"nearest"`, or the one that keeps the
            layer's outputs best: `"adaround"` (Nagel et al. 2020, arXiv 2004.10568) or `"gptq"` (Frantar et al.
            2022, arXiv 2210.17323), for Dense and (depthwise) convolutions. Worth it at 4 bits and below.
        correct_bias: take the mean error of each layer's outputs on the calibration data out of its bias (Nagel et
            al. 2019, section 4.2).

    The last three are for when nobody trains afterwards; they see some 500 of the samples.

    Returns:
        A Functional Keras model with the original's inputs, outputs and layer names, uncompiled; it saves and loads
        as `.keras`. Its `report` attribute says what was done to each layer, and why not to others.

    Raises:
        TypeError: `model` is not a Keras 3 model.
        ValueError: the model is not built; the calibration data is empty, not finite or of the wrong shape; an
            unknown `rounding`; or `strict` is set and a layer has no int8 kernel.

    Example:

    >>> import keras, numpy as np, tfopt
    >>> model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(2, activation="relu", name="dense")])
    >>> q = tfopt.quantize(model, calibration=np.random.default_rng(0).normal(size=(64, 4)))
    >>> [type(layer).__name__ for layer in q.layers]
    ['InputLayer', 'FakeQuantize', 'QuantizedDense', 'FakeQuantize']
    """
    config = config or QuantConfig()
    check_rounding(rounding)
    improves = correct_bias or rounding != "nearest"
    captured = capture(model, _first_batch(model, calibration))
    graph = decompose(captured)
    if improves and isinstance(calibration, Iterator):  # which can be read once only
        calibration, _ = gather(calibration, len(tensors_in(graph.inputs)), "calibration")
    graph, notes = equalize_graph(graph) if equalize else (graph, {})
    # Separable convolutions come apart with their activation, whose split may show more to take apart.
    graph, linear = split_activations(graph)
    graph = round_constants(decompose(graph))
    placement = place(graph)
    report = _report(graph, placement, _frozen(model, captured))
    if strict:
        _refuse_floats(report)
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
    links = tuple(_links(placement, layers, made))
    quantized.describe(with_notes(report, notes), links)
    if improves:
        improved = improve(quantized, calibration, rounding, correct_bias)
        improved = {node.path: improved.get(made[id(node.op)].name, "") for node in graph.nodes}
        quantized.report = with_notes(quantized.report, improved)
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
        if isinstance(op, (FakeQuantize, FloatBoundary)):
            return op
        quantized = (registered_class(op) or REPLACEMENTS.get(kind(op))) if quantize_weights else None
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
            elif placement.halves.get(id(site), "even") != "even":
                kwargs["halves"] = placement.halves[id(site)]
            if id(site) in placement.feeds and placement.feeds[id(site)].operands:
                kwargs["operands"] = placement.feeds[id(site)].operands
            rounding[id(site)] = Node(layer, (site,), kwargs, output, layer.name)
    values = {key: node.output for key, node in rounding.items()}
    rounding = {
        key: dataclasses.replace(node, kwargs=substitute(node.kwargs, values))
        for key, node in rounding.items()
    }
    nodes = [rounding[id(tensor)] for tensor in tensors_in(graph.inputs) if id(tensor) in rounding]
    shores = _Shores(graph, values)
    for node in graph.nodes:
        nodes.extend(shores.before(node))
        nodes.append(node.reading({**values, **shores.values} if is_island(node) else values))
        for tensor in tensors_in(node.outputs):
            if id(tensor) in rounding:
                nodes.extend(shores.behind(node, rounding[id(tensor)]))
    outputs = keras.tree.map_structure(lambda tensor: values.get(id(tensor), tensor), graph.outputs)
    return dataclasses.replace(graph, nodes=tuple(nodes), outputs=outputs)


class _Shores:
    """Makes a `FloatBoundary` for each rounded tensor that an island reads, and for each that it writes."""

    def __init__(self, graph: Graph, rounded: dict[int, keras.KerasTensor]) -> None:
        self.graph = graph
        self.rounded = rounded
        self.values: dict[int, keras.KerasTensor] = {}
        self.names: Counter[str] = Counter()

    def before(self, node: Node) -> Iterator[Node]:
        """The new nodes that must stand before `node`."""
        if not is_island(node):
            return
        for tensor in node.inputs:
            if id(tensor) not in self.values and "float" in tensor.dtype and not self._in_float(tensor):
                boundary = self._boundary(node, "enter", self.rounded.get(id(tensor), tensor))
                self.values[id(tensor)] = boundary.output
                yield boundary

    def behind(self, node: Node, rounding: Node) -> Iterator[Node]:
        """The node that rounds an output of `node`, with what must stand before it."""
        if not is_island(node):
            yield rounding
            return
        site = rounding.inputs[0]
        boundary = self._boundary(node, "leave", site)
        yield boundary
        yield rounding.reading({id(site): boundary.output})

    def _boundary(self, node: Node, what: str, source: keras.KerasTensor) -> Node:
        name = f"{node.op.name}_{what}"
        self.names[name] += 1
        name += f"_{self.names[name] - 1}" if self.names[name] > 1 else ""
        output = keras.KerasTensor(source.shape, source.dtype)
        return Node(FloatBoundary(name=name), (source,), {}, output, name)

    def _in_float(self, tensor: keras.KerasTensor) -> bool:
        """Whether another island hands the tensor on without rounding it."""
        producer = self.graph.producers.get(id(tensor))
        return producer is not None and is_island(producer) and id(tensor) not in self.rounded


def _report(graph: Graph, placement: Placement, frozen: Iterable[LayerReport]) -> QuantizationReport:
    rows = (_row(node, placement) for node in graph.nodes)
    return QuantizationReport(graph.name, (*rows, *frozen))


def _frozen(model: keras.Model, graph: Graph) -> Iterator[LayerReport]:
    """Layers with weights that the graph does not read: called on constants, they left their outputs in it."""
    layers = [node.op for node in graph.nodes if isinstance(node.op, keras.layers.Layer)]
    read = {id(weight) for layer in layers for weight in layer.weights}
    for layer in flatten_layers(model):
        own = own_weights(layer)
        if own and not read & set(map(id, own)):
            note = "called on constants: its outputs are constants now, and do not train"
            yield LayerReport(layer.name, kind(layer), "constant", note)


def _refuse_floats(report: QuantizationReport) -> None:
    left = [f"{row.path!r} ({row.kind}: {row.note})" for row in report.layers if row.done == "float"]
    if left:
        raise ValueError(
            f"With strict=True every layer of {report.name!r} must compute in int8, and {len(left)} cannot: "
            f"{'; '.join(left)}. Replace them, or leave strict out: they stay float, and all others become int8."
        )


def _row(node: Node, placement: Placement) -> LayerReport:
    row = row_of(node)
    if node.path in placement.fused:
        return LayerReport(node.path, kind(node.op), "fused", f"into {placement.fused[node.path]}")
    if is_island(node):
        return LayerReport(node.path, kind(node.op), "float", _reason(node))
    if row is None:
        return LayerReport(node.path, kind(node.op), "integer", "no float numbers")
    if row.output != OWN:
        return LayerReport(node.path, kind(node.op), "same grid", "as its input")
    fused, registered = activation_name(node.op), registered_class(node.op)
    note = f"with {fused}" if fused in row.fuses else ""
    if registered is not None:
        note = f"its {' and '.join(registered.weight_names)}"  # type: ignore[attr-defined]
    return LayerReport(node.path, kind(node.op), "int8", note)


def _reason(node: Node) -> str:
    """Why an operation is computed in float."""
    if node.opaque:
        return node.opaque
    layer = node.op
    if (
        isinstance(layer, keras.layers.Layer)
        and layer.weights
        and getattr(keras.layers, kind(layer), None) is None
    ):
        return "weights of its own: see tfopt.register_quantized"
    return "LiteRT has no int8 kernel for it"
