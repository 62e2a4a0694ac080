"""Recurrent layers: the fused operator where there is one, else the steps of the cell."""

import dataclasses
import functools
import inspect
from collections.abc import Callable, Container, Sequence
from typing import Any

import keras
from keras import layers, ops

from tfopt.graph import Expansion, Graph, Node, inline, kind, tensors_in
from tfopt.quantization.placement._parts import Parts
from tfopt.quantization.placement._steps import unrolled, why_not_unrolled

FUSED, REVERSE = "UNIDIRECTIONAL_SEQUENCE_LSTM", "REVERSE_V2"


def open_recurrent(graph: Graph, absent: Container[str] = (), unrolls: bool = True) -> Graph:
    """The graph with recurrent layers as the operators that compute them.

    An LSTM is the fused operator where its activations are the usual ones; other layers, and an LSTM on a target
    without the operator, come apart into the steps of their cells, if it is known how many these are.

    Args:
        graph: a captured graph.
        absent: TFLite operators that the target does not have, or not where it computes all others.
        unrolls: whether what is not the fused operator comes apart into steps; else it stays one node.

    Returns:
        A graph that computes the same; what cannot be opened stays one node, with the reason.
    """
    return graph.map_nodes(lambda node: _opened(node, absent, unrolls))


def _opened(node: Node, absent: Container[str], unrolls: bool) -> Expansion | None:
    layer = node.op
    both = isinstance(layer, layers.Bidirectional)
    if not node.opaque or not (both or isinstance(layer, layers.RNN)):
        return None
    ways = [layer.forward_layer, layer.backward_layer] if both else [layer]
    arguments = inspect.signature(layers.RNN.call).bind(layer, *node.args, **node.kwargs).arguments
    x, initial, mask = (tensors_in(arguments.get(name)) for name in ("sequences", "initial_state", "mask"))
    steps = x[0].shape[1]
    fused = not initial and not mask and all(_is_fused(one, steps, absent) for one in ways)
    reasons = [] if fused else [why_not_unrolled(one, steps, bool(mask)) for one in ways]
    if not fused and not unrolls:
        reasons = [f"{kind(layer)} loops over time, and its steps have an integer form of 8-bit codes alone"]
        if not initial and not mask and all(_is_fused(one, steps, ()) for one in ways):
            reasons = [f"{kind(layer)} loops over time, and the target has no 16-bit kernel for {FUSED}"]
    if any(reasons):
        return [dataclasses.replace(node, opaque=next(filter(None, reasons)))], node.outputs

    def call(x: Any, *others: Any) -> Any:
        initial, mask = (others[:-1], others[-1]) if masked else (others, None)
        run = functools.partial(_fused, absent=absent) if fused else functools.partial(unrolled, mask=mask)
        return _called(layer, ways, run, x, initial, absent)

    masked = bool(mask)
    return inline(dataclasses.replace(node, args=(*x, *initial, *mask), kwargs={}), call)


def _is_fused(layer: keras.layers.Layer, steps: int | None, absent: Container[str]) -> bool:
    """Whether the fused operator computes what a layer does: it knows one activation, and returns no cell."""
    cell = layer.cell
    if FUSED in absent or kind(cell) != "LSTMCell" or layer.return_state or (layer.stateful and steps == 1):
        return False
    return (
        cell.activation is keras.activations.tanh and cell.recurrent_activation is keras.activations.sigmoid
    )


def _fused(
    layer: keras.layers.Layer, x: Any, initial: Sequence[Any] = (), absent: Container[str] = ()
) -> tuple[Any, list[Any]]:
    """The operator writes all steps, from the first to the last; it starts from zeros."""
    changes = {"return_sequences": True, "name": layer.name, "dtype": layer.dtype_policy}
    inner = layers.LSTM.from_config({**layer.cell.get_config(), **changes})
    y = inner(_reversed(x, absent) if layer.go_backwards else x)
    inner.set_weights(layer.get_weights())
    return (y if layer.return_sequences else y[:, -1]), []


def _reversed(x: Any, absent: Container[str]) -> Any:
    """A sequence (samples, steps, ...) from its end."""
    if REVERSE in absent and x.shape[1] is not None:
        return ops.stack(ops.unstack(x, axis=1)[::-1], axis=1)
    return ops.flip(x, axis=1)


def _called(
    layer: Any,
    ways: Sequence[Any],
    run: Callable[..., Any],
    x: Any,
    initial: Sequence[Any],
    absent: Container[str],
) -> Any:
    """What a recurrent layer returns, where it runs from one end or from both."""
    half = len(initial) // len(ways)
    parts = [initial[at * half : (at + 1) * half] for at in range(len(ways))]
    outputs, states = zip(*(run(one, x, part) for one, part in zip(ways, parts, strict=True)), strict=True)
    if len(ways) == 1:
        y = outputs[0]
    else:
        forward, backward = outputs
        backward = _reversed(backward, absent) if layer.return_sequences else backward
        y = _MERGES[layer.merge_mode](Parts(layer), forward, backward)
    if not layer.return_state:
        return y
    merged = y if isinstance(y, tuple) else (y,)
    return (*merged, *(state for each in states for state in each))


_MERGES: dict[str | None, Callable[[Parts, Any, Any], Any]] = {
    "ave": lambda part, *both: part.affine("half", part.add("sum", *both), 0.5),
    "concat": lambda part, *both: part("concat", layers.Concatenate)(list(both)),
    "mul": lambda part, *both: part.times(*both),
    "sum": lambda part, *both: part.add("sum", *both),
    None: lambda part, *both: both,
}
