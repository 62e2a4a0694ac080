"""Steps one by one in a file, with states that go in and out, give what the whole sequence gives, code for code."""

import keras
import numpy as np
import pytest
from keras import layers

import tfopt
from tests.conversion.rows import quick
from tests.models import trained_like
from tfopt.runtimes import load


def _net(*parts, shape=(3, 3), dtype="float32"):
    inputs = x = keras.Input(shape, name="x", dtype=dtype)
    for part in parts:
        x = part(x)
    return keras.Model(inputs, x)


def _of_dicts():
    """A sequence beside what does not change from step to step."""
    sound, who = keras.Input((3, 3), name="sound"), keras.Input((2,), name="who")
    heard = layers.GRU(3, return_sequences=True)(sound)
    return keras.Model({"sound": sound, "who": who}, {"words": heard, "voice": layers.Dense(2)(who)})


# Model, and the target whose kernels run it.
NETS = {
    "GRU": (lambda: _net(layers.GRU(3, name="gru"), layers.Dense(2)), "litert"),
    "GRU, its state returned": (lambda: _net(layers.GRU(2, reset_after=False)), "tflm"),
    "SimpleRNN, stacked": (
        lambda: _net(layers.SimpleRNN(3, return_sequences=True), layers.SimpleRNN(2), layers.Dense(2)),
        "tflm",
    ),
    "LSTM in steps": (
        lambda: _net(layers.LSTM(2, recurrent_activation="hard_sigmoid", return_sequences=True)),
        "litert",
    ),
    "stacked cells": (
        lambda: _net(layers.RNN([layers.GRUCell(2), layers.LSTMCell(2)], return_sequences=True)),
        "tflm",
    ),
    "ConvLSTM1D": (
        lambda: _net(layers.ConvLSTM1D(2, 2, padding="same", return_sequences=True), shape=(2, 3, 2)),
        "litert",
    ),
    "words": (
        lambda: _net(
            layers.Embedding(9, 3), layers.GRU(2, return_sequences=True), layers.Dense(2), shape=(3,), dtype="int32"
        ),
        "litert",
    ),
    "dicts": (_of_dicts, "litert"),
    "stateful": (
        lambda: keras.Sequential(
            [keras.Input(batch_shape=(4, 3, 3), name="x"), layers.GRU(2, stateful=True, return_sequences=True)]
        ),
        "litert",
    ),
}  # fmt: skip
WARN = {"stateful"}


def _samples(model):
    """Eight samples of each input, by name."""
    rng = np.random.default_rng(1)
    return {
        tensor.name: rng.integers(0, 9, (8, *tensor.shape[1:])).astype("int32")
        if tensor.dtype == "int32"
        else rng.normal(size=(8, *tensor.shape[1:])).astype("float32")
        for tensor in model.inputs
    }


def _code(values, tensor):
    """What a file reads for real numbers."""
    if not tensor.scale:
        return values.astype(tensor.dtype)
    return np.clip(np.floor(values / tensor.scale + 0.5) + tensor.zero_point, -128, 127).astype("int8")


def _stream(runtime, arrays, timed, length):
    """The outputs of each step, by name: the real numbers of the codes."""
    states, steps = {}, []
    for at in range(length):
        now = {name: one[:, at : at + 1] if name in timed else one for name, one in arrays.items()}
        given = [
            states.get(tensor.name, np.full(tensor.shape, tensor.zero_point, tensor.dtype))
            if tensor.name not in now
            else _code(now[tensor.name], tensor)
            for tensor in runtime.file.inputs
        ]
        runtime.set_inputs(given)
        runtime.invoke()
        codes = {tensor.name: runtime.tensor(tensor).copy() for tensor in runtime.file.outputs}
        states = {name.replace("_after", "_before"): one for name, one in codes.items()}
        steps.append(
            {
                tensor.name: (codes[tensor.name].astype("float32") - tensor.zero_point)
                * np.float32(tensor.scale)
                for tensor in runtime.file.outputs
            }
        )
    return steps


@pytest.mark.parametrize("name", quick(NETS, ("GRU",)))
def test_steps_are_the_sequence(name, tmp_path):
    make, target = NETS[name]
    model = trained_like(make())
    arrays = _samples(model)
    x = arrays if len(arrays) > 1 else arrays["x"]
    config = tfopt.QuantConfig.for_target(target)
    if name in WARN:
        with pytest.warns(UserWarning, match=r"'gru.*' is stateful.*tfopt.streaming"):
            q = tfopt.quantize(model, x, config, strict=True)
    else:
        q = tfopt.quantize(model, x, config, strict=True)
    step = tfopt.streaming(q)
    path = tmp_path / "step.tflite"
    report = tfopt.export(step, path, strict=True)
    assert {f"{one}_after" for one in _states(report.input_names)} <= set(report.output_names)
    wanted = q.predict(x, batch_size=4, verbose=0)
    wanted = wanted if isinstance(wanted, dict) else {report.output_names[0]: wanted}
    timed = {tensor.name for tensor in step.inputs if tensor.shape[1:2] == (1,)}
    length = arrays[min(timed)].shape[1]
    runtime = load(path, "tflm" if target == "tflm" else "xnnpack")
    for row in range(3):
        steps = _stream(runtime, {key: one[row : row + 1] for key, one in arrays.items()}, timed, length)
        for output, values in wanted.items():
            whole = values[row]
            if steps[0][output].shape[1:] == whole.shape:
                np.testing.assert_array_equal(steps[-1][output][0], whole)
            else:
                np.testing.assert_array_equal(np.stack([one[output][0, 0] for one in steps]), whole)


def _states(names):
    return {name.removesuffix("_before") for name in names if name.endswith("_before")}


def test_what_cannot_be_streamed_says_why():
    x = np.random.default_rng(0).normal(size=(8, 3, 2)).astype("float32")
    nets = {
        "is one operator": _net(layers.LSTM(2), shape=(3, 2)),
        "from the end": _net(layers.GRU(2, go_backwards=True), shape=(3, 2)),
        "came apart into steps": _net(layers.Dense(2), shape=(3, 2)),
        "looks at several steps": _net(layers.Conv1D(2, 2, padding="same"), layers.GRU(2), shape=(3, 2)),
    }
    for words, net in nets.items():
        with pytest.raises(ValueError, match=words):
            tfopt.streaming(tfopt.quantize(net, x))
    with pytest.raises(TypeError, match=r"must be what tfopt.quantize returned. Got Functional"):
        tfopt.streaming(nets["from the end"])
