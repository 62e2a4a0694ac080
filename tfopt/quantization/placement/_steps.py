"""Recurrent layers as the steps of their cells: one graph of integer operations, repeated."""

from collections.abc import Sequence
from typing import Any

import keras
from keras import layers, ops

from tfopt.graph import kind
from tfopt.kernels import StepState
from tfopt.quantization.placement._parts import Parts
from tfopt.quantization.placement._step_cells import CELLS, StepCell, channels_of, function_name

# What the state of a SimpleRNN may go through last: one operation with a grid that its first value can share.
_LAST = ("linear", "relu", "sigmoid", "tanh")


def why_not_unrolled(layer: keras.layers.Layer, steps: int | None, masked: bool = False) -> str:
    """Why a recurrent layer cannot be opened into its steps; "" if it can.

    Args:
        layer: a recurrent layer.
        steps: how many steps its inputs have; None if that is open.
        masked: whether a mask leaves out some of them.
    """
    # Keras sets it in every Bidirectional that returns sequences.
    if masked and getattr(layer, "zero_output_for_mask", False):
        return f"{kind(layer)} loops over time, and writes zeros where a mask leaves out a step"
    if layer.stateful and steps == 1:
        return (
            f"{kind(layer)} keeps its state from call to call, and calls of one step show no range of it: quantize a "
            "model of whole sequences, and cut a step out by tfopt.streaming"
        )
    for cell in cells_of(layer):
        if kind(cell) not in CELLS:
            return f"{kind(layer)} loops over time, and a step of {kind(cell)} has no integer form here"
        if not function_name(cell.activation) or not function_name(
            getattr(cell, "recurrent_activation", cell.activation)
        ):
            return f"{kind(layer)} loops over time, and an activation of {kind(cell)} is not one of Keras"
        if getattr(cell, "data_format", "channels_last") != "channels_last":
            return f"{kind(layer)} reads channels first: make it again with data_format='channels_last'"
        if kind(cell) == "SimpleRNNCell" and function_name(cell.activation) not in _LAST:
            return (
                f"{kind(layer)} loops over time, with {function_name(cell.activation)} as its last operation"
            )
    if steps is None:
        return f"{kind(layer)} loops over an open number of steps: fix it in the model's Input"
    return ""


def cells_of(layer: keras.layers.Layer) -> list[keras.layers.Layer]:
    """The cells of a recurrent layer, from the inputs on: stacked ones are layers one after the other."""
    return list(layer.cell.cells) if kind(layer.cell) == "StackedRNNCells" else [layer.cell]


def unrolled(
    layer: keras.layers.Layer, x: Any, initial: Sequence[Any] = (), mask: Any = None
) -> tuple[Any, list[Any]]:
    """What a recurrent layer computes, step by step.

    Args:
        layer: one for which `why_not_unrolled` gives no reason.
        x: inputs (samples, steps, ...).
        initial: the states to start from; none for zeros.
        mask: which steps change the state, (samples, steps); None for all.

    Returns:
        The outputs of all steps, (samples, steps, ...), or of the last one; and the states after it.
    """
    cells, initial, last = cells_of(layer), list(initial), []
    for number, cell in enumerate(cells):
        part = Parts(layer if len(cells) == 1 else cell, repeated=True)
        opened = CELLS[kind(cell)](part, cell)
        given, initial = initial[: len(opened.states)], initial[len(opened.states) :]
        outputs, states = _steps(part, opened, x, given, mask, layer.go_backwards and number == 0)
        last.extend(states)
        all_steps = number < len(cells) - 1 or layer.return_sequences
        x = ops.stack(outputs, axis=1) if all_steps else outputs[-1]
    return x, last


def _steps(
    part: Parts, cell: StepCell, x: Any, initial: Sequence[Any], mask: Any, backwards: bool
) -> tuple[list[Any], list[Any]]:
    """The outputs of all steps, and the states after the last."""
    inputs, units = cell.project(x), cell.units
    given = initial or [None] * len(cell.states)
    # Zeros of a slice each: the converter makes one of two equal operations, which then has two grids.
    states = [
        _initial(part, name, channels_of(inputs[0][0], at * units, units), start)
        for at, (name, start) in enumerate(zip(cell.states, given, strict=True))
    ]
    order = range(len(inputs))
    outputs = []
    before = [part(f"{name}_before", StepState, backwards=backwards) for name in cell.states]
    for at in reversed(order) if backwards else order:
        old = [mark(state) for mark, state in zip(before, states, strict=True)]
        states = cell.step(inputs[at], old)
        if mask is not None:
            kept = mask[:, at : at + 1]
            states = [ops.where(kept, *pair) for pair in zip(states, old, strict=True)]
        outputs.append(states[0])
    return outputs, states


def _initial(part: Parts, state: str, like: Any, given: Any) -> Any:
    """The state before the first step, on the grid of the states that steps write: zeros if it is not given."""
    layer = part(f"first_{state}", layers.Rescaling, 0.0 if given is None else 1.0)
    layer.shared_grid = part.grid_of(state)
    return layer(like if given is None else given)
