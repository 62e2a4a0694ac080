"""Recurrent layers in files: the fused operator, its state from call to call, training, and what stays float."""

import keras
import numpy as np
import pytest
from keras import layers

import tfopt
from tests.models import samples_for, trained_like
from tfopt.runtimes import load


@pytest.fixture(scope="module")
def sequences():
    """A model of open sequences, trained on its grids, and samples."""
    model = keras.Sequential(
        [
            keras.Input((None, 6), name="x"),
            layers.LSTM(5, return_sequences=True),
            layers.LSTM(4, return_sequences=True, dropout=0.1),
            layers.Dense(2),
        ]
    )
    x = np.random.default_rng(0).normal(size=(48, 7, 6)).astype("float32")
    q = tfopt.quantize(trained_like(model), x, strict=True)
    q.compile(keras.optimizers.Adam(0.01), "mse")
    y = np.cumsum(x[..., :2], axis=1) / 3
    first, *_, last = q.fit(x, y, epochs=6, batch_size=16, verbose=0).history["loss"]
    assert last < 0.8 * first
    return q, x[:4]


def codes_of(values, tensor):
    return np.round(values / tensor.scale).astype(int) + tensor.zero_point


def test_step_by_step_is_the_whole_sequence(sequences, tmp_path):
    """A file of one step keeps the states from call to call: a stream."""
    q, x = sequences
    path = tmp_path / "step.tflite"
    report = tfopt.export(q, path, shapes={"x": (1, 6)}, strict=True)
    assert report.operators == {"UNIDIRECTIONAL_SEQUENCE_LSTM": 2, "FULLY_CONNECTED": 1}
    assert report.has_state and "reset_all_variables()" in str(report)
    runtime = load(path, "xnnpack")
    (source,), (output,) = runtime.file.inputs, runtime.file.outputs
    wanted = q.predict(x, verbose=0)
    for sample, expected in zip(x, wanted, strict=True):
        runtime.reset()
        for step, values in zip(sample, expected, strict=True):
            codes = np.clip(np.floor(step / source.scale + 0.5) + source.zero_point, -128, 127)
            runtime.set_inputs([codes.astype("int8")[None, None]])
            runtime.invoke()
            np.testing.assert_array_equal(runtime.tensor(output)[0, 0], codes_of(values, output))


def test_saved_loaded_and_equal_to_its_file(sequences, tmp_path):
    q, x = sequences
    q.save(tmp_path / "q.keras")
    loaded = keras.models.load_model(tmp_path / "q.keras")
    np.testing.assert_array_equal(loaded.predict(x, verbose=0), q.predict(x, verbose=0))
    tfopt.export(loaded, tmp_path / "q.tflite", shapes={"x": (7, 6)}, strict=True)
    assert tfopt.verify(q, tmp_path / "q.tflite", x, tolerance=0).passed
    with pytest.raises(ValueError, match=r"'batch_size' argument must be a number.*LSTM"):
        tfopt.export(loaded, tmp_path / "open.tflite", batch_size=None, shapes={"x": (7, 6)})
    assert not (tmp_path / "open.tflite").exists()


@pytest.mark.slow
def test_a_mask_leaves_steps_out(tmp_path):
    ids = keras.Input((3,), dtype="int32")
    x = layers.Embedding(9, 3, mask_zero=True, embeddings_initializer="normal")(ids)
    both = layers.Bidirectional(layers.GRU(2))(layers.LSTM(3, return_sequences=True)(x))
    model = trained_like(keras.Model(ids, layers.Dense(2)(both)))
    samples = np.random.default_rng(0).integers(0, 4, (64, 3)).astype("int32")
    q = tfopt.quantize(model, samples, tfopt.QuantConfig.for_target("tflm"), strict=True)
    wanted, found = (each.predict(samples, verbose=0) for each in (model, q))
    assert np.abs(wanted - found).max() < 0.05 * np.ptp(wanted)
    report = tfopt.export(q, tmp_path / "q.tflite", strict=True)
    assert "SELECT_V2" in report.operators
    assert tfopt.verify(q, tmp_path / "q.tflite", samples, tolerance=0).passed


def test_what_stays_a_float_loop_says_why():
    class Cell(layers.SimpleRNNCell):
        def call(self, inputs, states, training=False):
            return super().call(inputs, states, training)

    x, closed, batch = keras.Input((None, 3)), keras.Input((4, 3)), keras.Input(batch_shape=(2, 1, 3))
    outputs = [
        layers.GRU(2, name="open")(x),
        layers.RNN(Cell(2), name="custom")(closed),
        layers.LSTM(2, name="stateful", stateful=True)(batch),
    ]
    rows = tfopt.check(keras.Model([x, closed, batch], outputs)).layers
    notes = {row.path: row.note for row in rows if row.done == "float"}
    assert notes == {
        "open": "GRU loops over an open number of steps: fix it in the model's Input",
        "custom": "RNN loops over time, and a step of Cell has no integer form here",
        "stateful": "LSTM keeps its state from call to call, and calls of one step show no range of it: quantize a "
        "model of whole sequences, and cut a step out by tfopt.streaming",
    }


@pytest.mark.parametrize("overrides", [{}, {"lstm": {"activation_bits": 16}}])
def test_what_has_no_16_bit_kernel_is_named(overrides):
    recurrent = [layers.LSTM(3, return_sequences=True, name="lstm"), layers.GRU(2, name="gru")]
    model = keras.Sequential([keras.Input((5, 4)), *recurrent])
    config = tfopt.QuantConfig(activation_bits=8 if overrides else 16, overrides=overrides)
    q = tfopt.quantize(model, samples_for(model, 8), config)
    notes = {row.kind: row.note for row in q.report.layers if row.done == "float"}
    assert "no 16-bit kernel for UNIDIRECTIONAL_SEQUENCE_LSTM" in notes.pop("LSTM")
    assert overrides or "steps have an integer form of 8-bit codes alone" in notes["GRU"]


@pytest.mark.slow
@pytest.mark.parametrize(
    "settings",
    [
        {"weight_bits": 4},
        {"power_of_two": True, "symmetric": True},
        {"target": "tflm", "activation_bits": 16},
        {"target": "tflm", "activation_bits": 16, "weight_bits": 4, "power_of_two": True},
        {"target": "tflm", "overrides": {"lstm": {"activation_bits": 16}}},
    ],
)
def test_other_grids(settings, tmp_path):
    """After a step of training."""
    if "target" in settings:
        pytest.importorskip("tflite_micro.python.tflite_micro.runtime")
    model = keras.Sequential([keras.Input((5, 4)), layers.LSTM(3, name="lstm"), layers.Dense(2)])
    x = samples_for(trained_like(model), 32)
    config = tfopt.QuantConfig.for_target(**{"target": "litert", **settings})
    q = tfopt.quantize(model, x, config, strict=True)
    q.compile("sgd", "mse")
    q.fit(x, np.zeros((len(x), 2)), verbose=0)
    tfopt.export(q, tmp_path / "q.tflite", strict=True)
    assert tfopt.verify(q, tmp_path / "q.tflite", x, tolerance=0).passed
