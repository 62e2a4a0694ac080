"""A model as a graph of operations that each have one kernel on the target, or none."""

import dataclasses
from collections.abc import Callable, Iterator, Mapping
from types import MappingProxyType
from typing import Any

import keras

from tfopt._replicas import average_statistics
from tfopt._samples import batches
from tfopt.graph import Graph, Node, capture, check_finite, kind
from tfopt.kernels import (
    FAMILIES,
    TARGETS,
    IntegerModel,
    WeightGrid,
    float_where_lacking,
    folded_norm,
    has_weights,
)
from tfopt.quantization._config import QuantConfig
from tfopt.quantization._overrides import wide_operations
from tfopt.quantization.placement import (
    Placement,
    decompose,
    open_recurrent,
    part_joins,
    place,
    read_applied_masks,
    real_inputs,
    residual_sums,
    round_constants,
    split_activations,
    widen_layers,
)
from tfopt.quantization.post_training import equalize_graph


@dataclasses.dataclass(frozen=True)
class Rewritten:
    """A model as a graph of operations that each have one kernel, or none.

    Attributes:
        captured: the model's own graph.
        graph: the same, taken apart.
        linear: `id(op)` of the layers that lose their activation.
        notes: what equalization did, by path.
        parted: the kind of each operation at a concatenation that was changed or left out, and how, by path.
        input_ranges: the range of each input that held bytes, by name.
        wide: `id(op)` of the operations with 16-bit activations: residual sums, and those that overrides name.
    """

    captured: Graph
    graph: Graph
    linear: set[int]
    notes: dict[str, str]
    input_ranges: dict[str, tuple[float, float]] = dataclasses.field(default_factory=dict)
    parted: dict[str, tuple[str, str]] = dataclasses.field(default_factory=dict)
    wide: frozenset[int] = frozenset()


def rewrite(model: keras.Model, calibration: Any, config: QuantConfig, equalize: bool = False) -> Rewritten:
    """Takes a model apart for a target.

    Args:
        model: any built Keras model.
        calibration: its inputs, which show a subclassed model's shapes.
        config: the scheme.
        equalize: whether to give the channels between two layers like ranges.

    Raises:
        ValueError: the model is quantized already.
    """
    if isinstance(model, IntegerModel):
        raise ValueError(
            f"The 'model' argument must be a float model. Got {model.name!r}, which is quantized already. Quantize the "
            "model that it was made from, or train this one on."
        )
    average_statistics(model)
    captured = capture(model, _first_batch(model, calibration), constants=True)
    check_finite(model)
    target = TARGETS[config.target]
    absent = (*target.absent, *target.avoided, *target.float_only(config.activation_bits))
    parted, joins = part_joins(captured)
    # Of 16-bit activations the steps of cells are not proven equal to a file's.
    opened = open_recurrent(parted, absent, unrolls=config.activation_bits == 8)
    graph, input_ranges = real_inputs(opened)
    graph = read_applied_masks(graph, target, config.activation_bits)
    graph = decompose(graph, target, config.activation_bits)
    graph, notes = equalize_graph(graph) if equalize else (graph, {})
    # Separable convolutions come apart with their activation, whose split may show more to take apart.
    graph, linear = split_activations(graph)
    graph = round_constants(decompose(graph, target, config.activation_bits))
    wide = wide_operations(config, graph.nodes)
    if config.residual_bits == 16 and config.activation_bits == 8:
        wide |= residual_sums(graph)
    graph = widen_layers(graph, wide)
    graph = float_where_lacking(graph, target, config.activation_bits)
    return Rewritten(captured, graph, linear, notes, input_ranges, joins, wide)


def _first_batch(model: keras.Model, calibration: Any) -> Any:
    """Inputs that show a subclassed model's shapes; an iterator must not lose a batch."""
    if getattr(model, "inputs", None) or calibration is None or isinstance(calibration, Iterator):
        return None
    return next(batches(calibration, _recorded_inputs(model), "calibration"))[0]


def _recorded_inputs(model: keras.Model) -> list[keras.KerasTensor] | int:
    """Tensors of the shapes that a subclassed model was called with; 1 where Keras has not recorded them."""
    config = model.get_build_config() if isinstance(model, keras.Model) and model.built else None
    shape = (config or {}).get("input_shape")
    if shape is None:
        return 1
    if isinstance(shape, dict):
        return [keras.KerasTensor(one, name=name) for name, one in shape.items()]
    return [keras.KerasTensor(one) for one in (shape if isinstance(shape[0], (list, tuple)) else [shape])]


def place_for(
    graph: Graph, config: QuantConfig, settings: Mapping[int, QuantConfig | None] = MappingProxyType({})
) -> Placement:
    """Where the kernels of the config's target round (see `place`).

    Args:
        graph: what `rewrite` made.
        config: the scheme.
        settings: the scheme of single layers, by `id(op)`; None for one that stays float.
    """
    floats = {key for key, one in settings.items() if one is None}
    apart = _norms_apart(graph, lambda op: settings.get(id(op), config))
    return place(graph, floats, FAMILIES[TARGETS[config.target].family], config.activation_bits, apart)


def _norms_apart(graph: Graph, config_of: Callable[[keras.Operation], QuantConfig | None]) -> set[int]:
    """`id(op)` of the layers whose calls are before different batch norms, or before one and elsewhere.

    Where channels share a step, it depends on the norm that is folded in, and the layer has one kernel for all calls.
    """
    norms: dict[int, set[int]] = {}
    for node in graph.nodes:
        config = config_of(node.op)
        if has_weights(node) and config is not None and _grid(config, node).follows_norm:
            norm = folded_norm(graph, node)
            norms.setdefault(id(node.op), set()).add(0 if norm is None else id(norm.op))
    return {key for key, found in norms.items() if len(found) > 1}


def _grid(config: QuantConfig, node: Node) -> WeightGrid:
    settings = config.weight_settings(kind(node.op))
    return WeightGrid(bits=settings.pop("weight_bits"), **settings)
