"""One step of each recurrent cell, in operations that TFLite has integer kernels for."""

import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import keras
import numpy as np
from keras import layers, ops

from tfopt.quantization.placement._parts import Parts

Project = Callable[[Any], list[tuple[Any, ...]]]
Step = Callable[[tuple[Any, ...], Sequence[Any]], list[Any]]


class StepCell(NamedTuple):
    """A cell, opened.

    Attributes:
        units: the size of each state, or its channels.
        states: the names of the parts that write its states.
        project: what goes into each step, from the inputs of all.
        step: what a step makes of that and of the states: the new states, the output first.
    """

    units: int
    states: tuple[str, ...]
    project: Project
    step: Step


def function_name(function: Callable) -> str:
    """The name of one of Keras' activations; "" for other functions."""
    name = getattr(function, "__name__", "")
    return name if getattr(keras.activations, name, None) is function else ""


def _curve(part: Parts, name: str, function: Callable, x: Any) -> Any:
    """An activation, under a name of its own; a linear one is nothing but the sum before it."""
    return part.activation(function_name(function), x, part=name)


def _numbers(weight: Any) -> np.ndarray:
    return np.asarray(keras.ops.convert_to_numpy(weight), "float32")


def _biases(cell: Any, rows: int) -> list[Any]:
    """So many biases of a cell; None without."""
    if cell.bias is None:
        return [None] * rows
    bias = _numbers(cell.bias)
    return list(bias) if bias.ndim == 2 else [bias, *[None] * (rows - 1)]


def _dense(part: Parts, name: str, x: Any, kernel: np.ndarray, bias: Any, columns: slice) -> Any:
    """Some columns of a kernel as a Dense layer, which each step calls again."""
    is_new = name not in part.made
    numbers = [one[..., columns] for one in (kernel, bias) if one is not None]
    layer = part(name, layers.Dense, numbers[0].shape[-1], use_bias=bias is not None)
    y = layer(x)
    if is_new:
        layer.set_weights(numbers)
    return y


def _each(*sequences: Any) -> list[tuple[Any, ...]]:
    """Sequences (samples, steps, ...) as what each step reads of them."""
    return list(zip(*(ops.unstack(one, axis=1) for one in sequences), strict=True))


def _gru(part: Parts, cell: layers.GRUCell) -> StepCell:
    """`h + z * (h_old - h)`, `h = tanh(x + r * (h_old R))` (Cho et al. 2014, arXiv 1406.1078)."""
    kernel, recurrent = _numbers(cell.kernel), _numbers(cell.recurrent_kernel)
    bias, recurrent_bias = _biases(cell, 2)
    gates, candidate = slice(None, 2 * cell.units), slice(2 * cell.units, None)

    def project(x: Any) -> list[tuple[Any, ...]]:
        return _each(
            _dense(part, "inputs_of_gates", x, kernel, bias, gates),
            _dense(part, "inputs", x, kernel, bias, candidate),
        )

    def from_state(name: str, state: Any, columns: slice) -> Any:
        return _dense(part, name, state, recurrent, recurrent_bias, columns)

    def step(inputs: tuple[Any, ...], states: Sequence[Any]) -> list[Any]:
        (old,) = states
        both = part.add("sums_of_gates", inputs[0], from_state("recurrent_of_gates", old, gates))
        both = _curve(part, "gates", cell.recurrent_activation, both)
        update, reset = both[:, : cell.units], both[:, cell.units :]
        if cell.reset_after:
            kept = part.product("reset", reset, from_state("recurrent", old, candidate))
        else:
            kept = from_state("recurrent", part.product("reset", reset, old), candidate)
        new = _curve(part, "candidate", cell.activation, part.add("sum", inputs[1], kept))
        difference = part("difference", layers.Subtract)([old, new])
        return [part.add("state", new, part.product("update", update, difference))]

    return StepCell(cell.units, ("state",), project, step)


def _simple(part: Parts, cell: layers.SimpleRNNCell) -> StepCell:
    """`activation(x + h R)` (Elman 1990)."""
    kernel, recurrent = _numbers(cell.kernel), _numbers(cell.recurrent_kernel)
    (bias,), every = _biases(cell, 1), slice(None)
    is_linear = function_name(cell.activation) == "linear"

    def project(x: Any) -> list[tuple[Any, ...]]:
        return _each(_dense(part, "inputs", x, kernel, bias, every))

    def step(inputs: tuple[Any, ...], states: Sequence[Any]) -> list[Any]:
        new = _dense(part, "recurrent", states[0], recurrent, None, every)
        total = part.add("state" if is_linear else "sum", *inputs, new)
        return [total if is_linear else _curve(part, "state", cell.activation, total)]

    return StepCell(cell.units, ("state",), project, step)


def _lstm(part: Parts, cell: layers.LSTMCell) -> StepCell:
    """`c = f * c + i * tanh(g)`, `h = o * tanh(c)` (Hochreiter & Schmidhuber 1997; Gers et al. 2000)."""
    units = cell.units
    kernel, recurrent = _gates_first(cell.kernel, units), _gates_first(cell.recurrent_kernel, units)
    bias = None if cell.bias is None else _gates_first(cell.bias, units)
    gates, candidate = slice(None, 3 * units), slice(3 * units, None)

    def project(x: Any) -> list[tuple[Any, ...]]:
        return _each(
            _dense(part, "inputs_of_gates", x, kernel, bias, gates),
            _dense(part, "inputs", x, kernel, bias, candidate),
        )

    def step(inputs: tuple[Any, ...], states: Sequence[Any]) -> list[Any]:
        state, old = states
        of_gates = _dense(part, "recurrent_of_gates", state, recurrent, None, gates)
        of_candidate = _dense(part, "recurrent", state, recurrent, None, candidate)
        return lstm_step(
            part, cell, (part.add("sums_of_gates", inputs[0], of_gates), inputs[1], of_candidate), old
        )

    return StepCell(cell.units, ("state", "cell"), project, step)


# Axes of a state -> its convolution. One of three axes comes apart in its turn.
_CONVOLUTIONS = {1: layers.Conv1D, 2: layers.Conv2D, 3: layers.Conv3D}


def _conv_lstm(part: Parts, cell: Any) -> StepCell:
    """An LSTM of maps, whose products are convolutions (Shi et al. 2015, arXiv 1506.04214)."""
    units = cell.filters
    kernel, recurrent = _gates_first(cell.kernel, units), _gates_first(cell.recurrent_kernel, units)
    bias = None if cell.bias is None else _gates_first(cell.bias, units)
    gates, candidate = slice(None, 3 * units), slice(3 * units, None)
    of_inputs = {"strides": cell.strides, "padding": cell.padding, "dilation_rate": cell.dilation_rate}

    def convolved(name: str, x: Any, weights: tuple[np.ndarray, Any], columns: slice, **how: Any) -> Any:
        is_new = name not in part.made
        numbers = [one[..., columns] for one in weights if one is not None]
        settings = {"use_bias": len(numbers) > 1, "data_format": "channels_last", **how}
        layer = part(
            name, _CONVOLUTIONS[cell.rank], numbers[0].shape[-1], numbers[0].shape[: cell.rank], **settings
        )
        y = layer(x)
        if is_new:
            layer.set_weights(numbers)
        return y

    def maps(x: Any) -> list[Any]:
        sizes = x.shape[2:]  # TFLite Micro takes parts of four axes at most
        flat = part("flat", layers.Reshape, (-1, math.prod(sizes)))(x)
        return [part("map", layers.Reshape, sizes)(one) for one in ops.unstack(flat, axis=1)]

    def project(x: Any) -> list[tuple[Any, ...]]:
        # A step at a time: NPUs convolve one map, not one for each step.
        return [
            (
                convolved("inputs_of_gates", one, (kernel, bias), gates, **of_inputs),
                convolved("inputs", one, (kernel, bias), candidate, **of_inputs),
            )
            for one in maps(x)
        ]

    def step(inputs: tuple[Any, ...], states: Sequence[Any]) -> list[Any]:
        state, old = states
        of_gates = convolved("recurrent_of_gates", state, (recurrent, None), gates, padding="same")
        of_candidate = convolved("recurrent", state, (recurrent, None), candidate, padding="same")
        return lstm_step(
            part, cell, (part.add("sums_of_gates", inputs[0], of_gates), inputs[1], of_candidate), old
        )

    return StepCell(units, ("state", "cell"), project, step)


def lstm_step(part: Parts, cell: Any, sums: tuple[Any, Any, Any], old: Any) -> list[Any]:
    """The new hidden state and the new cell from the sums of the gates i, f, o and the two parts of the candidate."""
    units = old.shape[-1]
    gates = _curve(part, "gates", cell.recurrent_activation, sums[0])
    i, f, o = (channels_of(gates, at * units, units) for at in range(3))
    new = _curve(part, "candidate", cell.activation, part.add("sum", *sums[1:]))
    total = part.add("cell", part.product("kept", f, old), part.product("added", i, new))
    return [part.product("state", o, _curve(part, "of_cell", cell.activation, total)), total]


def channels_of(x: Any, first: int, count: int) -> Any:
    """Some channels of a tensor; TFLite Micro takes parts of four axes at most."""
    shape = x.shape
    flat = ops.reshape(x, (-1, math.prod(shape[1:-1]), shape[-1])) if len(shape) > 4 else x
    part = flat[..., first : first + count]
    return ops.reshape(part, (-1, *shape[1:-1], count)) if len(shape) > 4 else part


def _gates_first(weight: Any, units: int) -> np.ndarray:
    """Weights in Keras' order i, f, c, o in the order i, f, o, c."""
    i, f, c, o = np.split(_numbers(weight), 4, axis=-1)
    return np.concatenate([i, f, o, c], axis=-1)


# Kind of cell -> what opens it.
CELLS: dict[str, Callable[[Parts, Any], StepCell]] = {
    "ConvLSTMCell": _conv_lstm,
    "GRUCell": _gru,
    "LSTMCell": _lstm,
    "SimpleRNNCell": _simple,
}
