"""Files whose constants lie behind the flatbuffer, as AI Edge Quantizer puts them from 256 kB on."""

import re

import flatbuffers
import keras
import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema

import tfopt
from tfopt.compression import compress_weights, pack, sizes, unpack
from tfopt.runtimes import CannotRunError, TFLiteFile


def outside(content: bytes) -> bytes:
    """The same file with all its constants behind the flatbuffer, each at a multiple of 16 bytes."""
    model = schema.ModelT.InitFromPackedBuf(content)
    held = {number: buffer.data for number, buffer in enumerate(model.buffers) if buffer.data is not None}
    for number in held:
        model.buffers[number].data, model.buffers[number].offset, model.buffers[number].size = None, 1, 1

    def packed() -> bytearray:
        builder = flatbuffers.Builder(1024)
        builder.Finish(model.Pack(builder), b"TFL3")
        return builder.Output()

    end = len(packed())  # numbers in place of numbers: the offsets do not change it
    for number, data in held.items():
        end += -end % 16
        model.buffers[number].offset, model.buffers[number].size = end, len(data)
        end += len(data)
    whole = bytearray(end)
    head = packed()
    whole[: len(head)] = head
    for number, data in held.items():
        begin = model.buffers[number].offset
        whole[begin : begin + len(data)] = data.tobytes()
    return bytes(whole)


@pytest.fixture(scope="module")
def case(tmp_path_factory):
    """A quantized network's file, the same with its constants behind it, and samples."""
    keras.utils.set_random_seed(0)
    x = np.random.default_rng(0).normal(size=(32, 16)).astype("float32")
    layers = [keras.layers.Dense(64, activation="relu"), keras.layers.Dense(3)]
    model = keras.Sequential([keras.Input((16,)), *layers])
    layers[0].kernel.assign(np.round(layers[0].kernel * 8) / 8)  # few values: compressible
    q = tfopt.quantize(model, x, tfopt.QuantConfig.for_target("tflm"))
    inside = tmp_path_factory.mktemp("outside") / "inside.tflite"
    tfopt.export(q, inside)
    behind = inside.with_name("behind.tflite")
    behind.write_bytes(outside(inside.read_bytes()))
    return inside, behind, x


def test_it_reads_and_runs_alike(case):
    inside, behind, x = case
    for one, other in zip(TFLiteFile.read(inside).kernels, TFLiteFile.read(behind).kernels, strict=True):
        np.testing.assert_array_equal(one.data, other.data)
    first, second = (tfopt.runtimes.run(file, x).raw for file in (inside, behind))
    for name in first:
        np.testing.assert_array_equal(first[name], second[name])


def test_its_sizes_count_each_constant_once(case):
    inside, behind = sizes({"inside": case[0], "behind": case[1]}).files
    assert [kernel.entropy for kernel in behind.kernels] == [kernel.entropy for kernel in inside.kernels]
    assert behind.compressed == inside.compressed
    assert abs(behind.entropy - inside.entropy) < 200 > abs(behind.packed - inside.packed)


def test_what_is_written_of_it_holds_its_constants(case, tmp_path):
    inside, behind, x = case
    compress_weights(behind, tmp_path / "compressed.tflite")
    expected = tfopt.runtimes.run(inside, x, "tflm").values
    for name, values in tfopt.runtimes.run(tmp_path / "compressed.tflite", x, "tflm").values.items():
        np.testing.assert_array_equal(values, expected[name])
    tfopt.conversion.write_c_array(behind, tmp_path / "model.cc")
    length = re.search(r"model_tflite_len = (\d+)", (tmp_path / "model.cc").read_text())
    assert abs(int(length[1]) - len(inside.read_bytes())) < 64 < len(behind.read_bytes()) - int(length[1])
    pack(behind, tmp_path / "packed.tfpk")
    unpack(tmp_path / "packed.tfpk", tmp_path / "again.tflite")
    assert (tmp_path / "again.tflite").read_bytes() == behind.read_bytes()


def test_tflite_micro_does_not_find_them(case):
    with pytest.raises(CannotRunError, match="behind the flatbuffer, where it does not look"):
        tfopt.runtimes.run(case[1], case[2], "tflm")


@pytest.mark.parametrize("format", ["weights_int8", "weights_int4"])
def test_a_large_file_with_weights_alone_in_integers(format, tmp_path):
    pytest.importorskip("ai_edge_quantizer")
    keras.utils.set_random_seed(0)
    x = np.random.default_rng(0).normal(size=(4, 640)).astype("float32")
    model = keras.Sequential([keras.Input((640,)), keras.layers.Dense(1024), keras.layers.Dense(2)])
    tfopt.export(model, tmp_path / "model.tflite", format=format)
    assert tfopt.verify(model, tmp_path / "model.tflite", x).passed
