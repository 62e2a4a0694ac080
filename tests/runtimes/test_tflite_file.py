from collections.abc import Callable
from pathlib import Path

import keras
import numpy as np
import pytest

from tests.runtimes.test_tensors import pack
from tfopt.runtimes import TFLiteFile


@pytest.mark.parametrize("name", ["residual", "residual int8"])
def test_operators_in_order_with_their_activations(files: dict[str, bytes], name: str) -> None:
    file = TFLiteFile.read(files[name])
    assert [(op.name, op.activation) for op in file.operators] == [
        ("CONV_2D", "RELU"),
        ("DEPTHWISE_CONV_2D", None),
        ("ADD", None),
        ("MEAN", None),
        ("FULLY_CONNECTED", None),
        ("SOFTMAX", None),
    ]
    assert file.op_counts["CONV_2D"] == 1
    assert len(file.float_ops) == (0 if "int8" in name else 6)


def test_tensors_of_an_operator(files: dict[str, bytes]) -> None:
    conv, depthwise, add, *_ = TFLiteFile.read(files["residual int8"]).operators
    assert [t.index for t in add.inputs] == [conv.outputs[0].index, depthwise.outputs[0].index]
    assert conv.outputs[0].shape == (1, 8, 8, 4)
    kernel = conv.inputs[1]
    assert (kernel.shape, kernel.dtype, kernel.axis, len(kernel.scales)) == ((4, 3, 3, 3), "int8", 0, 4)


@pytest.mark.parametrize("name", ["residual", "residual int8"])
def test_kernels_are_those_of_the_model(files: dict[str, bytes], residual: keras.Model, name: str) -> None:
    kernels = TFLiteFile.read(files[name]).kernels
    conv = residual.layers[1].kernel.numpy()
    scale = np.reshape(kernels[0].scales or 1.0, (-1, 1, 1, 1))
    assert np.allclose(kernels[0].data * scale, np.transpose(conv, (3, 0, 1, 2)), atol=1e-6)
    assert kernels[0].sparsity == np.mean(conv == 0) > 0.6
    assert [kernel.size for kernel in kernels] == [108, 36, 20]  # and no bias among them


@pytest.mark.parametrize(
    ("name", "bits", "dtype"),
    [
        ("dense", 32, "float32"),
        ("dense int8", 8, "int8"),
        ("dense int16", 8, "int8"),
        ("dense float16", 16, "float16"),
        ("dense sparse", 32, "float32"),
    ],
)
def test_bits_and_sparsity_of_every_storage(
    files: dict[str, bytes], dense: keras.Model, name: str, bits: int, dtype: str
) -> None:
    file = TFLiteFile.read(files[name])
    kernel = dense.layers[0].kernel.numpy()
    assert file.weight_bits == {bits: 48}
    assert file.sparsity == file.kernels[0].sparsity == np.mean(kernel == 0)
    assert file.kernels[0].dtype == dtype
    scale = np.reshape(file.kernels[0].scales or 1.0, (-1, 1))
    assert np.allclose(file.kernels[0].data * scale, kernel.T, atol=1e-6)


def test_int4_weights_are_unpacked(files: dict[str, bytes]) -> None:
    values = np.arange(48) % 16 - 8
    file = TFLiteFile.read(as_int4(files["dense int8"], values))
    assert file.weight_bits == {4: 48}
    assert file.kernels[0].data.reshape(-1).tolist() == values.tolist()
    assert file.sparsity == 3 / 48
    assert file.kernels[0].nbytes == 24


def as_int4(content: bytes, values: np.ndarray) -> bytes:
    """The file with the kernel of its first operator replaced by int4 values."""
    import flatbuffers
    from ai_edge_litert import schema_py_generated as schema

    model = schema.ModelT.InitFromPackedBuf(content)
    graph = model.subgraphs[0]
    kernel = graph.tensors[graph.operators[0].inputs[1]]
    kernel.type = schema.TensorType.INT4
    model.buffers[kernel.buffer].data = pack(values.tolist(), 4)
    builder = flatbuffers.Builder()
    builder.Finish(model.Pack(builder), b"TFL3")
    return bytes(builder.Output())


@pytest.mark.parametrize(
    ("name", "changes", "inner"),
    [("dense int8", 0, 0), ("dense float io", 2, 0), ("dense uint8", 2, 0), ("dense float16", 1, 1)],
)
def test_only_grid_changes_inside_count(files: dict[str, bytes], name: str, changes: int, inner: int) -> None:
    file = TFLiteFile.read(files[name])
    assert sum(op.name in ("QUANTIZE", "DEQUANTIZE") for op in file.operators) == changes
    assert len(file.inner_grid_changes) == inner


def test_outputs_come_in_the_order_of_the_model(files: dict[str, bytes]) -> None:
    file = TFLiteFile.read(files["two"])
    assert {tensor.name for tensor in file.inputs} == {"zebra", "ant"}
    assert [tensor.name for tensor in file.outputs] == ["output_0", "output_1"]


@pytest.mark.parametrize(
    ("name", "peak"),
    [
        # ADD: two summands and the sum, 8 * 8 * 4 bytes each; all else is smaller (convolution: 192 + 256)
        ("residual int8", 3 * 256),
        ("residual", 4 * 3 * 256),
        ("dense int8", 16 + 3),
        ("dense int16", 2 * (16 + 3)),
        # QUANTIZE: 16 floats and 16 int8
        ("dense float io", 4 * 16 + 16),
        # ADD: two inputs and their sum, 4 int8 each
        ("two int8", 3 * 4),
    ],
)
def test_peak_activation_memory(files: dict[str, bytes], name: str, peak: int) -> None:
    assert TFLiteFile.read(files[name]).peak_activation_bytes == peak


def test_flex_operators_are_named(flex_file: bytes) -> None:
    file = TFLiteFile.read(flex_file)
    assert [op.name for op in file.flex_ops] == [op.name for op in file.custom_ops] == ["FlexMatrixInverse"]


def test_a_path_reads_like_its_bytes(files: dict[str, bytes], path_of: Callable) -> None:
    path = path_of("dense")
    assert TFLiteFile.read(path).op_counts == TFLiteFile.read(files["dense"]).op_counts
    assert TFLiteFile.read(str(path)).name == str(path)


@pytest.mark.parametrize("cut", [0.3, 0.6, 0.9])
def test_a_damaged_file_is_refused(files: dict[str, bytes], cut: float) -> None:
    content = files["residual"]
    with pytest.raises(
        ValueError, match=r"whole .tflite file. Got <bytes>, which is damaged .* Export the model again"
    ):
        TFLiteFile.read(content[: int(len(content) * cut)])


def test_bad_paths_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"'path' argument .* 'nowhere.tflite', which is no such file"):
        TFLiteFile.read("nowhere.tflite")
    with pytest.raises(ValueError, match=r"which is a folder"):
        TFLiteFile.read(tmp_path)
    (tmp_path / "text.tflite").write_text("not a model at all")
    with pytest.raises(ValueError, match=r"must name a .tflite file. Got .*text.tflite, whose bytes 4 to 8"):
        TFLiteFile.read(tmp_path / "text.tflite")
    with pytest.raises(TypeError, match=r"'path' argument must be a path or bytes. Got int"):
        TFLiteFile.read(3)
