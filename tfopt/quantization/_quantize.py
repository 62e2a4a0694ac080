"""`quantize`: a Keras model becomes one that computes on the int8 grid, and can be trained on it."""

from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

import keras

from tfopt._samples import gather
from tfopt.graph import (
    Graph,
    build_model,
    capture,
    clone_operation,
    kind,
    tensors_in,
)
from tfopt.quantization._batch_norm import FusedBatchNormalization
from tfopt.quantization._calibration import observe_ranges
from tfopt.quantization._config import QuantConfig
from tfopt.quantization._constants import round_constants
from tfopt.quantization._decompose import decompose
from tfopt.quantization._describe import describe, describe_constants
from tfopt.quantization._equalization import equalize as equalize_graph
from tfopt.quantization._fake_quantize import FakeQuantize
from tfopt.quantization._float_fence import FloatFence
from tfopt.quantization._insertion import insert, step_counter
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
from tfopt.quantization._overrides import resolve
from tfopt.quantization._placement import Grid, Placement, is_non_negative, place, split_activations
from tfopt.quantization._post_training import check_rounding, improve
from tfopt.quantization._quantized_weights import QuantizedWeights
from tfopt.quantization._register import registered_class
from tfopt.quantization._report import QuantizationReport, refuse_floats, with_notes
from tfopt.quantization._schedule import StepCounter
from tfopt.quantization._table import close_narrow, row_of

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
    graph = close_narrow(graph) if config.activation_bits == 16 else graph
    settings = resolve(config, [node for node in graph.nodes if (row := row_of(node)) and row.weights])
    placement = place(graph, {key for key, one in settings.items() if one is None})
    ranges, batches = _ranges(graph, placement, calibration, linear, config.range_method)
    names = _unique([f"{grid.name}_quantize" for grid in placement.grids])
    layers = [
        _fake_quantizer(grid, graph, config, name) for grid, name in zip(placement.grids, names, strict=True)
    ]
    made: dict[int, keras.Operation] = {}
    replace = _replacing(linear, lambda op: settings.get(id(op), config), made)
    full = insert(graph, placement, layers, step_counter(config))
    quantized = build_model(full, replace, model_class=QuantizedModel)
    for layer, limits in zip(layers, ranges, strict=True):
        if layer.fixed_range is None:
            layer.set_range(limits[:, 0], limits[:, 1], batches)
    rows = (*describe(graph, placement, layers, made), *describe_constants(model, captured))
    report = with_notes(QuantizationReport(graph.name, rows), notes)
    if strict or config.strict:
        refuse_floats(report)
    links = tuple(_links(placement, layers, made))
    quantized.describe(report, links, config.pack_weights)
    for layer in layers:  # in the order of the graph: a step depends on those before it
        layer.widen()
    if improves:
        improved = improve(quantized, calibration, rounding, correct_bias)
        improved = {node.path: improved.get(made[id(node.op)].name, "") for node in graph.nodes}
        quantized.describe(with_notes(report, improved), links, config.pack_weights)
    return quantized


def _first_batch(model: keras.Model, calibration: Any) -> Any:
    """Inputs that show a subclassed model's shapes; arrays only, for an iterator must not lose a batch."""
    is_arrays = hasattr(calibration, "shape") or isinstance(calibration, (list, dict))
    return calibration if is_arrays and not getattr(model, "inputs", None) else None


def _replacing(
    linear: set[int],
    settings: Callable[[keras.Operation], QuantConfig | None] = lambda op: None,
    made: dict[int, keras.Operation] | None = None,
) -> Callable[[keras.Operation, str], keras.Operation]:
    """How `build_model` makes the new layers, activations split off.

    Args:
        linear: `id(op)` of the layers that lose their activation.
        settings: the configuration for an operation's weights; None to leave them float.
        made: each new layer is remembered here, by `id` of the operation that it replaces.
    """

    def replace(op: keras.Operation, name: str) -> keras.Operation:
        new = make(op, name)
        if made is not None:
            made[id(op)] = new
        return new

    def make(op: keras.Operation, name: str) -> keras.Operation:
        if isinstance(op, (FakeQuantize, FloatBoundary, FloatFence, StepCounter)):
            return op
        chosen = settings(op)
        quantized = (registered_class(op) or REPLACEMENTS.get(kind(op))) if chosen is not None else None
        if quantized is None and id(op) not in linear:
            return clone_operation(op, name)
        config = {**op.get_config(), "name": name}
        if id(op) in linear:
            config["activation"] = "linear"
        if chosen is not None and quantized is not None and issubclass(quantized, QuantizedWeights):
            config |= chosen.weight_settings(kind(op))
        return (quantized or type(op)).from_config(config)

    return replace


def _ranges(
    graph: Graph, placement: Placement, calibration: Any, linear: set[int], method: str
) -> tuple[list[Any], int]:
    """For each grid an array of shape (sites, 2); and the number of calibration batches."""
    tensors = [site for grid in placement.grids for site in grid.sites]
    observed, batches = observe_ranges(graph, tensors, calibration, _replacing(linear), method)
    limits, start = [], 0
    for grid in placement.grids:
        limits.append(observed[start : start + len(grid.sites)])
        start += len(grid.sites)
    return limits, batches


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
    # TFLite's 16-bit softmax, sigmoid and tanh write steps of 1/32768.
    fixed = grid.fixed and (grid.fixed if config.activation_bits == 8 else (-1.0, 32767 / 32768))
    return FakeQuantize(
        num_sites=len(grid.sites),
        fixed_range=fixed,
        momentum=config.momentum,
        num_bits=config.activation_bits,
        observer=config.observer,
        clip_l2=config.clip_l2 if config.observer == "pact" else 0.0,
        symmetric=config.symmetric or config.activation_bits == 16,
        power_of_two=config.power_of_two,
        non_negative=all(is_non_negative(graph, site) for site in grid.sites),
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
                yield Link(layer.name, index, feed.kernel, sources, **names, activation=feed.activation)
