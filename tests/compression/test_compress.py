"""Compressed files: smaller, what TFLite Micro decodes, and computing what the plain ones compute."""

import copy
import dataclasses

import keras
import numpy as np
import pytest
from keras import layers

import tfopt
from tests.compression.conftest import SHAPE, layer_of
from tfopt.coding._forms import FORMS
from tfopt.compression import CompressionReport, compress_weights
from tfopt.compression import _compress as compress_module
from tfopt.compression import _kernels as kernels_module
from tfopt.compression._kernels import OVERHEAD
from tfopt.compression._strip import renumber, strip
from tfopt.conversion import Flatbuffer
from tfopt.kernels import TARGETS
from tfopt.runtimes import CannotRunError, TFLiteFile, run

pytest.importorskip("tflite_micro.python.tflite_micro.runtime")


@pytest.fixture(scope="module")
def compressed(plain, tmp_path_factory) -> tuple[CompressionReport, TFLiteFile]:
    folder = tmp_path_factory.mktemp("compressed")
    (folder / "plain.tflite").write_bytes(plain)
    report = compress_weights(folder / "plain.tflite", folder / "small.tflite")
    assert (folder / "plain.tflite").read_bytes() == plain
    return report, TFLiteFile.read(folder / "small.tflite")


def test_each_kernel_takes_its_smallest_form(compressed):
    report, file = compressed
    forms = {layer_of(kernel.name): kernel.form or kernel.reason for kernel in report.kernels}
    assert forms == {
        "pruned": "prune",
        "shared": "Huffman",
        "depthwise": "Huffman",
        "gridded": "Huffman",
        "clustered": "lookup table",
        "logits": "no form of it is smaller, with its decoder",
    }
    assert report.after == len(file.content) < report.stripped < report.before
    assert file.op_counts["TFLM_DECODE"] == 6  # the shared kernel has two readers, and is stored once


def test_the_overhead_is_what_a_decoder_costs_at_most(compressed):
    report, file = compressed
    saved = sum(kernel.before - kernel.after for kernel in report.kernels)
    decoders = file.op_counts["TFLM_DECODE"]
    assert 0.7 * OVERHEAD * decoders < report.after - (report.stripped - saved) <= OVERHEAD * decoders


def test_it_computes_the_same_and_its_kernels_are_read_back(plain, compressed):
    _, small = compressed
    x = np.random.default_rng(1).normal(size=(8, *SHAPE))
    expected, got = (run(content, x, "tflm").raw for content in (plain, small.content))
    assert list(got) == list(expected) == ["clustered", "logits"]  # without a signature, too
    for name in expected:
        np.testing.assert_array_equal(got[name], expected[name])
        assert len(np.unique(got[name])) > 5
    before = TFLiteFile.read(plain)
    assert len(before.kernels) == len(small.kernels) == 6
    for old, new in zip(before.kernels, small.kernels, strict=True):
        np.testing.assert_array_equal(new.data, old.data)
        assert new.scales == old.scales
    assert (small.sparsity, small.weight_bits) == (before.sparsity, before.weight_bits)
    assert not small.float_ops


def test_the_arena_grows_by_no_more_than_the_largest_kernels(compressed):
    report, _ = compressed
    largest = max(kernel.before for kernel in report.kernels)
    grown = report.arena_after.head - report.arena_before.head
    assert 0 < grown <= largest + 64
    assert f"Arena: {report.arena_before.total:,} bytes" in str(report)
    assert max(map(len, str(report).splitlines())) <= 80
    assert report.to_dict()["kernels"][0]["form"] == "prune"


@pytest.mark.parametrize("form", FORMS, ids=lambda form: form.__name__)
def test_tflite_micro_decodes_every_form_on_the_first_and_the_last_axis(form, plain, tmp_path, monkeypatch):
    """Kernels of few values, other ones in each channel: those of a convolution, depthwise or not, and of a Dense."""
    rng = np.random.default_rng(0)
    file = Flatbuffer(plain)
    for kernel in TFLiteFile.of(file.model).kernels:
        tables = rng.integers(-9, 9, (kernel.shape[kernel.axis], 5)) * 13
        codes = np.stack([rng.choice(table, kernel.size // len(tables)) for table in tables])
        codes *= rng.random(codes.shape) < 0.4
        moved = codes.reshape([-1, *np.delete(kernel.shape, kernel.axis)])
        values = np.ascontiguousarray(np.moveaxis(moved, 0, kernel.axis)).astype("int8")
        file.model.buffers[kernel.buffer].data = values.reshape(-1).view("uint8")
    file.changed = True
    (tmp_path / "model.tflite").write_bytes(file.to_bytes())
    monkeypatch.setattr(kernels_module, "smallest_form", form)
    monkeypatch.setattr(kernels_module, "OVERHEAD", -10_000)
    report = compress_weights(tmp_path / "model.tflite")
    axes = {kernel.axis for kernel in TFLiteFile.of(file.model).kernels if len(kernel.scales) > 1}
    assert axes == {0, 3}
    per_channel = {"lookup_tables": 4}  # the two Dense kernels have one grid
    assert sum(bool(kernel.form) for kernel in report.kernels) == per_channel.get(form.__name__, 6)


def test_the_largest_kernels_stay_where_the_arena_is_small(plain, compressed, tmp_path):
    free, _ = compressed
    path = tmp_path / "model.tflite"
    path.write_bytes(plain)
    limit = (free.arena_before.total + free.arena_after.total) // 2
    report = compress_weights(path, tmp_path / "small.tflite", max_arena=limit)
    assert report.arena_after.total <= limit < free.arena_after.total
    alone = {
        kernel.before for kernel in report.kernels if f"does not fit in max_arena={limit:,}" in kernel.reason
    }
    assert alone and min(alone) >= max(kernel.before for kernel in report.kernels if kernel.form)
    with pytest.raises(
        ValueError, match=rf"must be at least {free.arena_before.total:,}, which TFLite Micro takes"
    ):
        compress_weights(path, max_arena=1000)
    assert path.read_bytes() == plain


def test_nothing_is_left_that_the_runtime_does_not_read(compressed):
    _, small = compressed
    model = Flatbuffer(small.content).model
    assert model.signatureDefs is None and model.description is None
    assert [entry.name for entry in model.metadata] == [b"tfopt.target"]
    names = [tensor.name for graph in model.subgraphs for tensor in graph.tensors if tensor.name]
    assert sorted(names) == [b"clustered", b"image", b"logits"]
    used = {tensor.buffer for tensor in model.subgraphs[0].tensors} | {model.metadata[0].buffer}
    assert used == set(range(len(model.buffers)))


def test_a_file_is_replaced_and_not_compressed_twice(plain, tmp_path):
    path = tmp_path / "model.tflite"
    path.write_bytes(plain)
    report = compress_weights(path)
    assert report.path == str(path) and path.stat().st_size == report.after
    with pytest.raises(ValueError, match=r"it is compressed already\. Pass the file that it was made from"):
        compress_weights(path)


def test_operators_that_read_early_and_grids_that_differ_are_left_alone(plain, tmp_path, monkeypatch):
    file = Flatbuffer(plain)
    second, kernel = next(
        (op, op.inputs[1])
        for at, op in enumerate(file.graph.operators)
        if any(len(op.inputs) > 1 and op.inputs[1] == other.inputs[1] for other in file.graph.operators[:at])
    )
    file.graph.tensors.append(copy.deepcopy(file.graph.tensors[kernel]))
    file.graph.tensors[-1].quantization.scale *= np.float32(2)
    second.inputs = np.array([second.inputs[0], len(file.graph.tensors) - 1, *second.inputs[2:]], "int32")
    file.changed = True
    (tmp_path / "model.tflite").write_bytes(file.to_bytes())
    row = dataclasses.replace(TARGETS["tflm"], constant_weights=("DEPTHWISE_CONV_2D", "FULLY_CONNECTED"))
    monkeypatch.setitem(TARGETS, "tflm", row)
    report = compress_weights(tmp_path / "model.tflite")
    reasons = {layer_of(kernel.name): kernel.reason for kernel in report.kernels}
    assert reasons == {
        "pruned": "",
        "shared": "operators read it on different grids",
        "depthwise": "DEPTHWISE_CONV_2D reads it when it is prepared, before it is decoded",
        "gridded": "",
        "clustered": "FULLY_CONNECTED reads it when it is prepared, before it is decoded",
        "logits": "FULLY_CONNECTED reads it when it is prepared, before it is decoded",
    }


def test_a_file_that_computes_something_else_is_not_written(plain, tmp_path, monkeypatch):
    path = tmp_path / "model.tflite"
    path.write_bytes(plain)

    def wrong(file, kernels, decoder):
        if not kernels:
            return insert(file, kernels, decoder)
        kernel = next(iter(kernels.values()))
        stream = bytes([kernel.stream[0] ^ 1]) + kernel.stream[1:]
        return insert(
            file, {**kernels, next(iter(kernels)): dataclasses.replace(kernel, stream=stream)}, decoder
        )

    insert = compress_module.insert_decoders
    monkeypatch.setattr(compress_module, "insert_decoders", wrong)
    with pytest.raises(RuntimeError, match=r"differs in TFLite Micro\. Nothing was written"):
        compress_weights(path)
    assert path.read_bytes() == plain


@pytest.mark.parametrize(
    ("target", "words"),
    [
        ("litert", "LiteRT has no such operator, but reads sparse kernels"),
        ("ethos-u", "Vela encodes the kernels itself"),
        ("edgetpu", "it has no such operator"),
        ("esp", "'esp', which is unknown"),
    ],
)
def test_other_targets_teach(target, words, tmp_path):
    with pytest.raises(ValueError, match=rf"'target' argument needs a target .*'tflm'. Got.*{words}"):
        compress_weights(tmp_path / "model.tflite", target=target)


def test_a_float_file_is_compressed_and_one_that_cannot_run_is_not(tmp_path):
    model = keras.Sequential(
        [keras.Input((32,)), layers.Dense(32, name="pruned"), layers.Dense(9, name="small")]
    )
    kernel = model.layers[0].kernel
    kernel.assign(np.where(np.random.default_rng(0).random((32, 32)) < 0.8, 0, kernel.numpy()))
    tfopt.export(model, tmp_path / "float.tflite")
    report = compress_weights(tmp_path / "float.tflite")
    assert [kernel.form for kernel in report.kernels] == ["prune", ""]
    assert report.kernels[0].after < 0.3 * report.kernels[0].before

    tfopt.export(model, tmp_path / "dynamic.tflite", format="dynamic")
    content = (tmp_path / "dynamic.tflite").read_bytes()
    with pytest.raises(CannotRunError, match="TFLite Micro cannot run"):
        compress_weights(tmp_path / "dynamic.tflite")
    assert (tmp_path / "dynamic.tflite").read_bytes() == content


def test_export_compresses_for_its_target_alone(tmp_path):
    x = np.random.default_rng(0).normal(size=(8, 32)).astype("float32")
    model = keras.Sequential([keras.Input((32,)), layers.Dense(32, kernel_initializer="ones", name="ones")])
    q = tfopt.quantize(model, x, tfopt.QuantConfig.for_target("tflm"))
    report = tfopt.export(q, tmp_path / "small.tflite", compress=True)
    assert report.operators == {"TFLM_DECODE": 1, "FULLY_CONNECTED": 1}
    assert report.size.raw == report.compression.after == (tmp_path / "small.tflite").stat().st_size
    assert "Compressed" in str(report) and "## Compressed" in report.to_markdown()
    assert str(report.path) == str(tmp_path / "small.tflite")
    verified = tfopt.verify(q, tmp_path / "small.tflite", x)
    assert verified.passed and all(output.equal == 1.0 for output in verified.outputs), str(verified)

    with pytest.raises(
        ValueError, match=r"'compress' argument needs a target .* Got 'litert': LiteRT has no"
    ):
        tfopt.export(model, tmp_path / "no.tflite", compress=True)
    with pytest.raises(ValueError, match="'sparse' and 'compress' arguments exclude each other"):
        tfopt.export(q, tmp_path / "no.tflite", compress=True, sparse=True)
    assert [path.name for path in tmp_path.iterdir()] == ["small.tflite"]


def test_a_stripped_file_has_one_zero_point_and_one_step_for_a_bias(plain):
    file = Flatbuffer(plain)
    strip(file)
    renumber(file)
    first = next(op for op in file.graph.operators if file.name(op) == "CONV_2D")
    kernel, bias = (file.graph.tensors[at].quantization for at in first.inputs[1:3])
    assert len(kernel.scale) == 16 and len(kernel.zeroPoint) == len(bias.scale) == len(bias.zeroPoint) == 1
