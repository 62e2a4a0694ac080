"""`quantize`: a Keras model becomes one that computes on the int8 grid, and can be trained on it."""

import dataclasses
import functools
import warnings
from collections.abc import Callable, Iterator
from typing import Any

import keras
import numpy as np

from tfopt._replicas import share_weights
from tfopt._samples import gather
from tfopt.graph import build_model, kind, tensors_in
from tfopt.kernels import RECURRENT, TARGETS, refuse_preprocessing, row_of
from tfopt.quantization._config import QuantConfig
from tfopt.quantization._describe import describe, describe_constants, describe_left_out
from tfopt.quantization._make_quantizers import kernel_names, make_quantizers
from tfopt.quantization._overrides import resolve
from tfopt.quantization._range_warnings import range_warnings
from tfopt.quantization._report import QuantizationReport, refuse_floats, with_notes
from tfopt.quantization._rewrite import Rewritten, place_for, rewrite
from tfopt.quantization._streaming import about_states
from tfopt.quantization.calibration import Chooser, Observed, observe_ranges
from tfopt.quantization.placement import (
    Placement,
    insert,
    step_counter,
    with_cells,
)
from tfopt.quantization.post_training import check_rounding, improve
from tfopt.quantization.simulation import FakeQuantize, QuantizedLSTM, QuantizedModel, replacing


def quantize(
    model: keras.Model,
    calibration: Any,
    config: QuantConfig | None = None,
    *,
    strict: bool = False,
    equalize: bool = False,
    rounding: str = "nearest",
    correct_bias: bool = False,
    max_drop: float | None = None,
    metric: Any = None,
    validation: Any = None,
    control: Callable[..., keras.Model] | None = None,
) -> keras.Model:
    """A copy of a model that computes as the int8 TFLite kernels will: train it, save it, `export` it.

    Weights are rounded to a symmetric int8 grid per output channel, activations to a grid per tensor, where the
    TFLite kernels round them and nowhere else. What LiteRT has no int8 kernel for stays float, between a
    DEQUANTIZE and a QUANTIZE operator, and is in the report with the reason. Without training this is post-training
    quantization; with `fit` it is quantization-aware training (Jacob et al. 2018, arXiv 1712.05877).

    Args:
        model: any built Keras model: Sequential, Functional, subclassed, nested, with shared layers. It is not
            changed, so that it can teach its quantized copy.
        calibration: inputs from which activation ranges start: arrays (samples first), a list or dict of them for
            several inputs, or batches: a `tf.data.Dataset`, a `keras.utils.PyDataset`, a list, a generator, or the
            function that makes one, as the converter's `representative_dataset`; targets are ignored. A few hundred
            samples will do.
            Of several workers, each may pass its own: the chief's count.
        config: the scheme; `QuantConfig()` by default.
        strict: make it an error if any layer has to stay float.
        equalize: give the channels between two layers like ranges first, where ReLU or nothing lies between them
            (cross-layer equalization, Nagel et al. 2019, arXiv 1906.04721). Grids per tensor gain most; with a step
            per output channel it acts on the activations and on what reads them.
        rounding: which of its two neighbours on the grid a weight goes to: the `"nearest"`, or the one that keeps the
            layer's outputs best: `"adaround"` (Nagel et al. 2020, arXiv 2004.10568) or `"gptq"` (Frantar et al.
            2022, arXiv 2210.17323), for Dense, (depthwise) convolutions and LSTM. Worth it at 4 bits and below, and for
            an LSTM at 8, whose operator has one step for each gate: there it corrects the bias too.
        correct_bias: take the mean error of each layer's outputs on the calibration data out of its bias (Nagel et
            al. 2019, section 4.2).

        max_drop: points of accuracy that may be lost without training (0.5: from 90 % to 89.5 %); for a metric that is
            an error, percent by which it may grow. The fewest layers are given back that keep it: to 16-bit
            activations, to 8-bit weights where they have fewer, or to float weights; the `accuracy` attribute of the
            model says which and why, and so does its report. Where all of them do not do, that is a warning.
        metric: what `max_drop` is about: a name, a `keras.metrics.Metric` or `metric(y, predictions)`; by default what
            the model was compiled with, else chosen by outputs and labels.
        validation: samples to measure it with, `(x, y)`; `calibration` by default. Without labels the classes that the
            float model gives are taken for them.
        control: finds the layers to give back; `tfopt.quantize` sets it.

    `equalize`, `rounding`, `correct_bias` and `max_drop` are for when nobody trains afterwards; the first three see
    some 500 of the samples.

    Returns:
        A Functional Keras model with the original's inputs, outputs and layer names, uncompiled; it saves and loads
        as `.keras`. Its `report` attribute says what was done to each layer, and why not to others; what a grid costs
        parts of a concatenation, columns of an input or all layers because of a few samples is a warning too.

    Raises:
        TypeError: `model` is not a Keras 3 model.
        ValueError: the model is not built; the calibration data is empty, not finite or of the wrong shape; an
            unknown `rounding`; `strict` is set and a layer has no int8 kernel; or there is nothing to measure
            `max_drop` by.

    Example:

    >>> import keras, numpy as np, tfopt
    >>> model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(2, activation="relu", name="dense")])
    >>> q = tfopt.quantize(model, calibration=np.random.default_rng(0).normal(size=(64, 4)))
    >>> [type(layer).__name__ for layer in q.layers]
    ['InputLayer', 'FakeQuantize', 'QuantizedDense', 'FakeQuantize']
    """
    config = QuantConfig() if config is None else config
    if not isinstance(config, QuantConfig):
        raise TypeError(
            f"The 'config' argument must be a tfopt.QuantConfig. Got {config!r} instead. Pass "
            "tfopt.QuantConfig(weight_bits=4), say, or tfopt.QuantConfig.for_target('tflm')."
        )
    check_rounding(rounding)
    if max_drop is not None:
        if not isinstance(max_drop, (int, float)) or not 0 <= max_drop < float("inf"):
            raise ValueError(
                f"The 'max_drop' argument must be a number of points, 0 or more. Got {max_drop!r} instead."
            )
        options = {"strict": strict, "equalize": equalize, "rounding": rounding, "correct_bias": correct_bias}
        return _controlled(control, model, calibration, config, options, (validation, max_drop, metric))
    rewritten = rewrite(model, calibration, config, equalize)
    refuse_preprocessing(rewritten.captured)
    graph, linear = rewritten.graph, rewritten.linear
    improves = correct_bias or rounding != "nearest"
    if improves and isinstance(calibration, Iterator):  # which can be read once only
        calibration, _ = gather(calibration, tensors_in(graph.inputs), "calibration")
    settings = _settings(rewritten, config)
    placement = place_for(graph, config, settings)
    layers = make_quantizers(graph, placement, config, rewritten.input_ranges)
    observed, cells = _observe(rewritten, placement, calibration, config.ranges.chooser())
    made: dict[int, keras.Operation] = {}
    replace = replacing(linear, lambda op: settings.get(id(op), config), made)
    full = insert(graph, placement, layers, step_counter(config))
    quantized = build_model(full, replace, model_class=QuantizedModel)
    _start(placement, layers, observed, [(made[key], limits) for key, limits in cells.items()])
    rows = (
        *describe(graph, placement, layers, made, observed.squares),
        *describe_constants(model, rewritten.captured),
        *describe_left_out(graph, rewritten.parted),
    )
    widths = TARGETS[config.target].activation_bits
    said = (*about_states(rewritten.captured), *range_warnings(graph, placement, layers, observed, widths))
    words = {path: said_of for path, (_, said_of) in rewritten.parted.items()}
    report = with_notes(QuantizationReport(graph.name, rows, config.target, said), words | rewritten.notes)
    if strict or config.strict:
        refuse_floats(report)
    kernels = tuple(kernel_names(placement, layers, made))
    quantized.target, quantized.pack_weights = config.target, config.pack_weights
    quantized.wire(report, kernels)
    share_weights(quantized)
    for layer in layers:  # in the order of the graph: a step depends on those before it
        layer.coarsen_step()
    for sentence in said:
        warnings.warn(sentence, stacklevel=2)
    if improves:
        done = improve(quantized, calibration, rounding, correct_bias)
        share_weights(quantized)
        notes = {node.path: done.get(made[id(node.op)].name, "") for node in graph.nodes}
        quantized.wire(with_notes(report, notes), kernels)
    return quantized


def _controlled(
    control: Callable[..., keras.Model] | None,
    model: keras.Model,
    calibration: Any,
    config: QuantConfig,
    options: dict[str, Any],
    limits: tuple[Any, float, Any],
) -> keras.Model:
    """What `control` makes of a model, which it quantizes until no more is lost than `limits` say."""
    if control is None:
        raise ValueError(
            "The 'max_drop' argument takes a 'control' that finds the layers to give back. Got None. Call "
            "tfopt.quantize, which has one."
        )
    if isinstance(calibration, Iterator):  # which can be read once only
        calibration = list(calibration)
    validation, max_drop, metric = limits
    again = functools.partial(quantize, model, calibration, **options)
    return control(model, again, config, calibration if validation is None else validation, max_drop, metric)


def _settings(rewritten: Rewritten, config: QuantConfig) -> dict[int, QuantConfig | None]:
    """The scheme of each layer with weights or wide activations, by `id`; None for one that stays float."""
    nodes = rewritten.graph.nodes
    of_their_own = [
        node
        for node in nodes
        if ((row := row_of(node)) and (row.weights or row.recurrent)) or id(node.op) in rewritten.wide
    ]
    closed = [node.op for node in nodes if node.opaque and kind(node.op) in RECURRENT]
    return resolve(config, of_their_own) | dict.fromkeys(map(id, closed))


def _observe(
    rewritten: Rewritten, placement: Placement, calibration: Any, choose: Chooser | None
) -> tuple[Observed, dict[int, np.ndarray]]:
    """What calibration sees at the sites of the grids, one after another; and the range of each LSTM's cells."""
    tensors = [site for grid in placement.grids for site in grid.sites]
    graph, cells = with_cells(rewritten.graph)
    replace = replacing(rewritten.linear, keep=True)
    seen = observe_ranges(graph, [*tensors, *cells.values()], calibration, replace, choose)
    count = len(tensors)
    of_cells = dict(zip(cells, seen.ranges[count:], strict=True))
    return dataclasses.replace(seen, ranges=seen.ranges[:count], squares=seen.squares[:count]), of_cells


def _start(
    placement: Placement,
    layers: list[FakeQuantize],
    observed: Observed,
    cells: list[tuple[keras.Operation, np.ndarray]],
) -> None:
    """Starts the range of each quantizer, and of the cells of each LSTM, from what calibration saw."""
    ends = np.cumsum([len(grid.sites) for grid in placement.grids])[:-1]
    for layer, limits in zip(layers, np.split(observed.ranges, ends), strict=True):
        if layer.fixed_range is None:
            layer.set_range(limits[:, 0], limits[:, 1], observed.batches)
    for recurrent, limits in cells:
        if isinstance(recurrent, QuantizedLSTM):
            low, high = limits[:, np.newaxis]
            recurrent.cell_range.set_range(low, high, observed.batches)
