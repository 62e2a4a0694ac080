"""`export`: what is in the file, that it is written whole or not at all, and what it refuses."""

import os

import keras
import numpy as np
import pytest
from keras import layers

import tfopt
from tests.models import MODELS, samples_for, trained_like
from tfopt.conversion import _export
from tfopt.conversion._flatbuffer import Flatbuffer
from tfopt.runtimes import TFLiteFile


@pytest.fixture(scope="module")
def pair():
    """A float model and its quantized copy."""
    model = trained_like(MODELS["sequential"]())
    return model, tfopt.quantize(model, calibration=samples_for(model))


def test_int8_in_and_out_batch_1(pair, tmp_path):
    report = tfopt.export(pair[1], tmp_path / "a.tflite")
    file = TFLiteFile.read(tmp_path / "a.tflite")
    assert (report.inputs, report.outputs) == (("int8",), ("int8",))
    assert [tensor.shape[0] for tensor in (*file.inputs, *file.outputs)] == [1, 1]
    assert report.size.raw == (tmp_path / "a.tflite").stat().st_size
    assert report.to_dict()["operators"] == file.op_counts
    assert all(len(line) <= 80 for line in str(report).splitlines())
    flatbuffer = Flatbuffer((tmp_path / "a.tflite").read_bytes())
    used = {op.opcodeIndex for op in flatbuffer.graph.operators}
    assert used == set(range(len(flatbuffer.model.operatorCodes)))  # a runtime must have all that are listed


def test_float_ends_and_batch_size(pair, tmp_path):
    report = tfopt.export(
        pair[1], tmp_path / "a.tflite", batch_size=4, input_dtype="float32", output_dtype="float32"
    )
    assert (report.inputs, report.outputs) == (("float32",), ("float32",))
    assert TFLiteFile.read(tmp_path / "a.tflite").inputs[0].shape[0] == 4
    assert report.weight_bits.keys() == {8}


@pytest.mark.parametrize("name", MODELS)
def test_float_models_stay_float(name, tmp_path):
    model = trained_like(MODELS[name]())
    report = tfopt.export(model, tmp_path / "a.tflite")
    assert report.weight_bits.keys() == {32}
    assert tfopt.verify(model, tmp_path / "a.tflite", samples_for(model, 8)).passed


def test_a_lone_batch_norm_stays_exact_in_a_float_file(tmp_path):
    inputs = keras.Input((2, 2, 64))
    model = trained_like(keras.Model(inputs, layers.BatchNormalization()(inputs)))
    tfopt.export(model, tmp_path / "a.tflite")
    x = np.random.default_rng(0).normal(size=(4, 2, 2, 64)).astype("float32")
    (outputs,) = tfopt.runtimes.run(tmp_path / "a.tflite", x).values.values()
    np.testing.assert_allclose(outputs, model(x), rtol=2e-6, atol=2e-6)


def test_mixed_precision_models_are_written_in_float32(tmp_path):
    inputs = keras.Input((6,))
    model = keras.Model(inputs, layers.Dense(3, dtype="mixed_bfloat16")(inputs))
    assert tfopt.export(model, tmp_path / "a.tflite").weight_bits == {32: 18}


def test_every_weight_is_per_channel(pair, tmp_path):
    tfopt.export(pair[1], tmp_path / "a.tflite")
    for kernel in TFLiteFile.read(tmp_path / "a.tflite").kernels:
        assert len(kernel.scales) == kernel.shape[kernel.axis] > 1


def test_pruned_zeros_are_zeros_in_the_file(tmp_path):
    model = trained_like(MODELS["sequential"]())
    masked = {}
    for layer in model.layers:
        if hasattr(layer, "kernel"):
            kernel = np.asarray(layer.kernel).copy()
            kernel[np.abs(kernel) < np.quantile(np.abs(kernel), 0.75)] = 0
            layer.kernel.assign(kernel)
            masked[kernel.size] = (kernel == 0).sum()
    q = tfopt.quantize(model, calibration=samples_for(model))
    tfopt.export(q, tmp_path / "a.tflite")
    found = {kernel.size: kernel.zeros for kernel in TFLiteFile.read(tmp_path / "a.tflite").kernels}
    assert found.keys() == masked.keys()
    assert all(found[size] >= zeros for size, zeros in masked.items())


def test_a_float_island_is_named_and_refused_by_strict(tmp_path):
    inputs = keras.Input((4, 3))
    model = keras.Model(inputs, layers.Dense(2)(keras.ops.erf(layers.Dense(4)(inputs))))
    q = tfopt.quantize(model, calibration=samples_for(model))
    with pytest.raises((ValueError, RuntimeError)):
        tfopt.export(q, tmp_path / "a.tflite", strict=True)
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("old", [None, b"old"])
def test_a_failure_leaves_what_was_there(pair, tmp_path, monkeypatch, old):
    path = tmp_path / "a.tflite"
    if old:
        path.write_bytes(old)

    def fail(*args):
        raise OSError("disk full")

    monkeypatch.setattr("os.replace", fail)
    with pytest.raises(OSError, match="disk full"):
        tfopt.export(pair[1], path)
    assert os.listdir(tmp_path) == (["a.tflite"] if old else [])
    assert not old or path.read_bytes() == old


def test_nothing_is_converted_for_a_path_that_cannot_be_written(pair, tmp_path, monkeypatch):
    monkeypatch.setattr(_export, "lower", lambda *_: pytest.fail("converted first"))
    with pytest.raises(
        ValueError, match=r"'path' argument must name a file in a folder that exists.*no folder"
    ):
        tfopt.export(pair[1], tmp_path / "missing" / "a.tflite")
    with pytest.raises(ValueError, match=r"'path' argument must name a file.*Got the folder"):
        tfopt.export(pair[1], tmp_path)


def test_bad_arguments_teach(pair, tmp_path):
    with pytest.raises(
        ValueError, match=r"'batch_size' argument must be an integer of 1 or more, or None.*Got 0"
    ):
        tfopt.export(pair[1], tmp_path / "a.tflite", batch_size=0)
    with pytest.raises(ValueError, match=r"or the path of one.*Nothing is at 'model'"):
        tfopt.export("model", tmp_path / "a.tflite")
    with pytest.raises(TypeError, match="must be a Keras"):
        tfopt.export(3, tmp_path / "a.tflite")
    with pytest.raises(ValueError, match="must be built"):
        tfopt.export(keras.Sequential([layers.Dense(2)]), tmp_path / "a.tflite")


def test_the_terminal_stays_clean(pair, tmp_path, capfd):
    tfopt.export(pair[1], tmp_path / "a.tflite")
    captured = capfd.readouterr()
    assert captured.out + captured.err == ""


def test_a_layer_may_have_the_name_of_an_operation(tmp_path):
    """The operations inside attention are called reshape and add; after loading, a layer here is called so too."""
    inputs = keras.Input((4, 2, 3))
    x = layers.Reshape((4, 6), name="reshape")(inputs)
    model = keras.Model(inputs, layers.Dense(2, name="add")(layers.MultiHeadAttention(2, 3)(x, x)))
    quantized = tfopt.quantize(model, calibration=samples_for(model, 16))
    quantized.save(tmp_path / "q.keras")
    tfopt.export(keras.models.load_model(tmp_path / "q.keras"), tmp_path / "a.tflite")
    assert tfopt.verify(quantized, tmp_path / "a.tflite", samples_for(model, 8)).outputs[0].equal == 1.0
