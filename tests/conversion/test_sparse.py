"""Sparse files: smaller, read by LiteRT and by TFLiteFile, and computing what the dense ones compute."""

import keras
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from keras import layers

import tfopt
from tfopt.conversion._sparse import _parameters
from tfopt.runtimes import TFLiteFile, encode_sparse
from tfopt.runtimes._sparse import OVERHEAD
from tfopt.runtimes._tensors import expand

SHAPE = (8, 8, 32)


@settings(max_examples=60, deadline=None)
@given(
    kernel=arrays.arrays(
        "int8",
        arrays.array_shapes(min_dims=2, max_dims=4, max_side=17),
        elements=st.integers(-3, 3),
        fill=st.just(0),
    )
)
def test_an_encoded_kernel_is_read_back(kernel: np.ndarray) -> None:
    from ai_edge_litert import schema_py_generated as schema

    encoding = encode_sparse(kernel)
    np.testing.assert_array_equal(
        expand(encoding.values, kernel.shape, _parameters(schema, kernel.shape, encoding)), kernel
    )
    assert encoding.values.size % encoding.block == 0 and encoding.segments[-1] == len(encoding.indices)


def test_blocks_and_the_other_axis_are_found() -> None:
    blocks = np.zeros((16, 32), "int8")
    blocks[::2, 4:8] = 1
    assert encode_sparse(blocks).block == 4
    # Whole inputs are gone: rows along the outputs have nothing to store.
    inputs = np.zeros((64, 3, 3, 32), "int8")
    inputs[..., 7] = 1
    assert encode_sparse(inputs).order == (1, 2, 3, 0)


def pruned(sparsity: float) -> keras.Model:
    keras.utils.set_random_seed(0)
    model = keras.Sequential(
        [
            keras.Input(SHAPE),
            layers.Conv2D(32, 3, padding="same", activation="relu", name="conv"),
            layers.DepthwiseConv2D(3, depth_multiplier=4, name="depthwise"),
            layers.Conv2D(32, 1, activation="relu", name="pointwise"),
            layers.Conv2DTranspose(16, 3, name="transposed"),
            layers.Flatten(),
            layers.Dense(16, name="dense"),
        ],
        name="net",
    )
    for weight in model.weights:
        if weight.name == "kernel":
            values = weight.numpy()
            weight.assign(np.where(np.abs(values) < np.quantile(np.abs(values), sparsity), 0, values))
    return model


@pytest.fixture(scope="module", params=["int8", "float32"])
def case(request: pytest.FixtureRequest):
    """A pruned model as `export` takes it, and samples."""
    x = np.random.default_rng(0).normal(size=(16, *SHAPE)).astype("float32")
    model = pruned(0.85)
    return (tfopt.quantize(model, x) if request.param == "int8" else model), x, request.param


def test_a_sparse_file_is_smaller_and_computes_the_same(case, tmp_path) -> None:
    model, x, dtype = case
    dense = tfopt.export(model, tmp_path / "dense.tflite")
    sparse = tfopt.export(model, tmp_path / "sparse.tflite", sparse=True)
    files = [TFLiteFile.read(tmp_path / f"{name}.tflite") for name in ("dense", "sparse")]
    saved = sum(
        kernel.dense - kernel.sparse - OVERHEAD for kernel in sparse.sparse_kernels if not kernel.reason
    )
    assert dense.size.raw - sparse.size.raw >= saved > 0.15 * dense.size.raw
    assert sparse.sparsity == dense.sparsity == pytest.approx(0.85, abs=0.01)
    assert (
        sparse.weight_bits
        == dense.weight_bits
        == {8 if dtype == "int8" else 32: sum(sparse.weight_bits.values())}
    )
    for one, other in zip(*(file.kernels for file in files), strict=True):
        np.testing.assert_array_equal(one.data, other.data)
        assert one.scales == other.scales
    assert files[0].peak_activation_bytes == files[1].peak_activation_bytes
    assert not sparse.float_operators and tfopt.verify(model, tmp_path / "sparse.tflite", x).passed
    outputs = [tfopt.runtimes.run(tmp_path / f"{name}.tflite", x).values for name in ("dense", "sparse")]
    keras.tree.map_structure(np.testing.assert_array_equal, *outputs)


def test_the_report_says_what_stays_dense_and_why(case, tmp_path) -> None:
    model, _, dtype = case
    report = tfopt.export(model, tmp_path / "model.tflite", sparse=True)
    reasons = {kernel.name.split("/")[-2]: kernel.reason for kernel in report.sparse_kernels}
    unread = [
        name for name, reason in reasons.items() if reason.startswith("LiteRT reads no sparse int8 kernel")
    ]
    assert [name.partition("_")[0] for name in unread] == (["dense"] if dtype == "int8" else [])
    written = [kernel for kernel in report.sparse_kernels if not kernel.reason]
    assert len(written) >= 3 and all(kernel.sparse < kernel.dense for kernel in written)
    assert f"{len(written)} of 5 kernels are in sparse storage." in str(report)
    # What cannot be read yet is in the figure beside the file's own size.
    assert (report.sparse_bytes < report.size.raw) is bool(unread)


def test_a_dense_kernel_gains_nothing(tmp_path) -> None:
    report = tfopt.export(pruned(0.1), tmp_path / "model.tflite", sparse=True)
    assert {kernel.reason for kernel in report.sparse_kernels} == {"sparse storage is not smaller"}
    assert "DENSIFY" not in report.operators and report.sparse_bytes == report.size.raw


def test_compare_shows_raw_gzip_and_sparse_size(case, tmp_path) -> None:
    model, x, _ = case
    for name in ("dense", "sparse"):
        tfopt.export(model, tmp_path / f"{name}.tflite", sparse=name == "sparse")
    models = {name: tmp_path / f"{name}.tflite" for name in ("dense", "sparse")}
    report = tfopt.compare({"keras": pruned(0.85), **models}, x, latency_runs=1)
    rows = {row.name: row for row in report.rows}
    assert rows["dense"].sparse_bytes < 0.7 * rows["dense"].raw_bytes
    assert rows["sparse"].sparse_bytes <= rows["sparse"].raw_bytes < rows["dense"].raw_bytes
    assert rows["sparse"].sparse_bytes == pytest.approx(rows["dense"].sparse_bytes, rel=0.02)
    assert rows["keras"].sparse_bytes < 0.7 * rows["keras"].raw_bytes
    assert "sparse" in str(report)
