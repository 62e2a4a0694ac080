"""`streaming`: one step of a quantized recurrent model, whose states come in and go out."""

import dataclasses
from collections.abc import Iterable
from typing import Any

import keras
import numpy as np
from keras import layers

from tfopt.graph import Graph, build_model, capture, kind, tensors_in
from tfopt.kernels import RECURRENT, StepState
from tfopt.quantization._one_step import OneStep, after
from tfopt.quantization._report import QuantizationReport
from tfopt.quantization.simulation import FakeQuantize, QuantizedModel


def streaming(model: keras.Model) -> keras.Model:
    """The model of one step of a quantized recurrent model: it reads a step and the states, and returns both anew.

    For networks that hear a stream. What the steps of GRU, SimpleRNN, ConvLSTM, `RNN(cells)` and an LSTM that came
    apart compute is the same integer graph again and again; this is that graph once. A state goes in and out as codes
    of one grid, so that a program hands it back as it got it; zeros begin a sequence. Train the whole sequences, and
    cut then: the numbers are copied.

    An LSTM that is one operator in the file keeps its states itself: export a model of open sequences with one step
    instead (`shapes` of `tfopt.export`).

    Args:
        model: what `tfopt.quantize` made of a model of two or more steps, whose sequences lie along the first axis
            behind the batch.

    Returns:
        A quantized model with the inputs of `model`, of one step, and an input `NAME_before` for each state `NAME`;
        its outputs are those of `model` and, behind them, the `NAME_after`. Where `model` takes or returns a dict, so
        does this. Export, verify and save it as any other. What it returns in step `t` is what `model` returns there,
        code for code: that is tried on noise before it is handed out.

    Raises:
        TypeError: `model` is not a quantized model.
        ValueError: it has no such steps; it reads a sequence from its end; or something beside the recurrent layers
            looks at several steps at once, such as a convolution over time.

    Example:

    >>> import keras, numpy as np, tfopt
    >>> inputs = keras.Input((5, 3), name="sound")
    >>> outputs = keras.layers.Dense(2, name="words")(keras.layers.GRU(4, name="gru")(inputs))
    >>> q = tfopt.quantize(keras.Model(inputs, outputs), np.random.default_rng(0).normal(size=(32, 5, 3)))
    >>> step = tfopt.streaming(q)
    >>> [(tensor.name, tensor.shape) for tensor in step.inputs]
    [('sound', (None, 1, 3)), ('gru_state_before', (None, 4))]
    """
    if not isinstance(model, QuantizedModel):
        raise TypeError(
            f"The 'model' argument must be what tfopt.quantize returned. Got {type(model).__name__} instead."
        )
    graph = capture(model)
    _check(graph)
    cut = OneStep(graph)
    cut.walk()
    one = cut.graph()
    step = build_model(one, name=f"{model.name}_step", model_class=QuantizedModel)
    step.target, step.pack_weights = model.target, model.pack_weights
    names = {layer.name for layer in step.layers}
    placed = model.placed or QuantizationReport(model.name, ())
    rows = {
        row.path: row
        for row in reversed(placed.layers)
        if names >= {name for name in (row.weights, row.quantizer) if name}
    }
    links = tuple(link for link in model.links if (link.quantizer, link.site) in cut.sites)
    step.wire(dataclasses.replace(placed, layers=tuple(reversed(rows.values()))), links)
    _prove(model, step, cut, one.inputs)
    return step


def about_states(graph: Graph) -> tuple[str, ...]:
    """A sentence for each stateful layer of a captured model: what becomes of its state."""
    return tuple(
        f"{node.path!r} is stateful, and begins each call with zeros once it is quantized. Calibrate and train on "
        "whole sequences; tfopt.streaming then makes the model of one step, whose states go in and out. An LSTM that "
        "is one operator keeps its states in the file, until the interpreter resets its variables."
        for node in graph.nodes
        if isinstance(node.op, (layers.RNN, layers.Bidirectional)) and node.op.stateful
    )


def _check(graph: Graph) -> None:
    """Raises ValueError where no step can be cut out."""
    for node in graph.nodes:
        if kind(node.op) in RECURRENT:
            raise ValueError(
                f"The 'model' argument must have recurrent layers that came apart into steps. Got {node.op.name!r}, "
                "which is one operator and keeps its states itself. Quantize a model of open sequences, such as "
                "keras.Input((None, 40), name='x'), and export it with shapes={'x': (1, 40)}; beside other recurrent "
                "layers, give it return_state=True, and it comes apart too."
            )
        if isinstance(node.op, StepState) and node.op.backwards:
            raise ValueError(
                f"The 'model' argument must read its sequences from their beginning. Got {node.op.name!r}, a state of "
                "a layer that reads from the end, as one half of a Bidirectional does: a stream has none."
            )
    if not any(isinstance(node.op, StepState) for node in graph.nodes):
        raise ValueError(
            "The 'model' argument must have a recurrent layer that came apart into steps, of a version of tfopt with "
            "'streaming'. Got a model without. Its report says what stays float and why."
        )


def _prove(model: keras.Model, step: keras.Model, cut: OneStep, step_inputs: Any) -> None:
    """Raises ValueError unless steps one by one give what the whole sequence gives, on noise."""
    inputs = tensors_in(cut.whole.inputs)
    noise = {tensor.name: _noise(cut.whole, tensor) for tensor in inputs}
    batch, length = next(noise[name].shape[:2] for name in sorted(cut.timed))
    wanted = _called(model, cut.whole.inputs, noise)
    states = {name: np.zeros((batch, *tensor.shape[1:]), "float32") for name, tensor in cut.before.items()}
    for at in range(length):
        now = {name: one[:, at : at + 1] if name in cut.timed else one for name, one in noise.items()}
        outputs = _called(step, step_inputs, {**now, **states}, map(after, states))
        states = {name: outputs[after(name)] for name in states}
        differ = [name for name, one in wanted.items() if not _agree(outputs[name], one, at, length)]
        if differ:
            raise ValueError(
                f"The 'model' argument must compute each step from that step and the states. Output {differ[0]!r} of "
                f"{model.name!r} is another in step {at} of {length}: something beside the recurrent layers looks at "
                "several steps, such as a convolution, a pooling or a Flatten over time, or the states do not begin "
                "with zeros. Stream the recurrent part alone."
            )


def _noise(graph: Graph, tensor: keras.KerasTensor) -> np.ndarray:
    """Samples of an input: of the whole range that it is rounded to, or zeros and ones."""
    rng, shape = np.random.default_rng(0), [2 if size is None else size for size in tensor.shape]
    quantizers = [node.op for node in graph.consumers[id(tensor)] if isinstance(node.op, FakeQuantize)]
    if not quantizers:
        return rng.integers(0, 2, shape).astype(tensor.dtype)
    low, high = (float(end) for end in quantizers[0].nudged_range())
    return rng.uniform(low, high, shape).astype(tensor.dtype)


def _called(
    model: keras.Model, structure: Any, arrays: dict[str, np.ndarray], states: Iterable[str] = ()
) -> dict[str, np.ndarray]:
    """The outputs, by key or else by number, and the states behind them by name."""
    outputs = model(keras.tree.map_structure(lambda tensor: arrays[tensor.name], structure), training=False)
    if not isinstance(outputs, dict):
        flat, behind = keras.tree.flatten(outputs), list(states)
        outputs = dict(zip([*map(str, range(len(flat) - len(behind))), *behind], flat, strict=True))
    return {name: keras.ops.convert_to_numpy(one) for name, one in outputs.items()}


def _agree(one: np.ndarray, of_all: np.ndarray, at: int, length: int) -> bool:
    """Whether a step's output is what the whole sequence gave there; without an axis of steps, at its end."""
    if one.shape == of_all.shape:
        return at < length - 1 or np.array_equal(one, of_all)
    return np.array_equal(one, of_all[:, at : at + 1])
