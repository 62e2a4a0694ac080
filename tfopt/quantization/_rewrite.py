"""A model as a graph of operations that each have one kernel on the target, or none."""

import dataclasses
from collections.abc import Container
from typing import Any

import keras

from tfopt.graph import Graph, capture
from tfopt.kernels import FAMILIES, TARGETS, float_where_lacking
from tfopt.quantization._config import QuantConfig
from tfopt.quantization.placement import (
    FUSED,
    Placement,
    decompose,
    open_recurrent,
    place,
    round_constants,
    split_activations,
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
    """

    captured: Graph
    graph: Graph
    linear: set[int]
    notes: dict[str, str]


def rewrite(model: keras.Model, calibration: Any, config: QuantConfig, equalize: bool = False) -> Rewritten:
    """Takes a model apart for a target.

    Args:
        model: any built Keras model.
        calibration: its inputs, which show a subclassed model's shapes.
        config: the scheme.
        equalize: whether to give the channels between two layers like ranges.
    """
    captured = capture(model, _first_batch(model, calibration))
    target = TARGETS[config.target]
    # The fused LSTM of LiteRT has a kernel for 8-bit codes alone.
    absent = (*target.absent, *target.avoided, *((FUSED,) if config.activation_bits > 8 else ()))
    graph = open_recurrent(captured, absent)
    graph = decompose(graph, target.absent)
    graph, notes = equalize_graph(graph) if equalize else (graph, {})
    # Separable convolutions come apart with their activation, whose split may show more to take apart.
    graph, linear = split_activations(graph)
    graph = round_constants(decompose(graph, target.absent))
    graph = float_where_lacking(graph, target, config.activation_bits)
    return Rewritten(captured, graph, linear, notes)


def _first_batch(model: keras.Model, calibration: Any) -> Any:
    """Inputs that show a subclassed model's shapes; arrays only, because an iterator must not lose a batch."""
    is_arrays = hasattr(calibration, "shape") or isinstance(calibration, (list, dict))
    return calibration if is_arrays and not getattr(model, "inputs", None) else None


def place_for(graph: Graph, config: QuantConfig, floats: Container[int] = ()) -> Placement:
    """Where the kernels of the config's target round (see `place`)."""
    return place(graph, floats, FAMILIES[TARGETS[config.target].family], config.activation_bits)
