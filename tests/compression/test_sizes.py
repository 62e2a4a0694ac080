"""What you pay where: every figure is that of the file which the named tool writes."""

import gzip

import pytest

import tfopt
from tests.program import run_tfopt
from tfopt.compression import SizesReport, compress_weights, pack, sizes
from tfopt.compression import _sizes as module
from tfopt.conversion import Flatbuffer
from tfopt.runtimes import CannotRunError, estimate_npu


@pytest.fixture(scope="module")
def report(plain, tmp_path_factory) -> SizesReport:
    folder = tmp_path_factory.mktemp("sizes")
    (folder / "plain.tflite").write_bytes(plain)
    pytest.importorskip("tflite_micro.python.tflite_micro.runtime")
    pytest.importorskip("ethosu.vela")
    compress_weights(folder / "plain.tflite", folder / "small.tflite")
    return sizes({"plain": folder / "plain.tflite", "small": folder / "small.tflite"})


def test_figures_are_those_of_the_tools(plain, report, tmp_path):
    (tmp_path / "a.tflite").write_bytes(plain)
    file, small = report.files
    assert file.raw == len(plain)
    assert file.gzip == len(gzip.compress(plain, mtime=0))
    assert file.compressed == small.raw == small.compressed
    assert file.packed == pack(tmp_path / "a.tflite", tmp_path / "a.tfpk").stat().st_size
    assert file.vela == estimate_npu(plain).flash_bytes and small.vela is None
    assert file.entropy < file.packed < 1.1 * file.entropy
    assert [kernel.entropy for kernel in file.kernels] == [kernel.entropy for kernel in small.kernels]
    assert all(kernel.entropy < kernel.after for kernel in file.kernels)


def test_the_tables_fit_a_terminal_and_say_where(report):
    several, one = str(report), str(SizesReport(report.files[:1]))
    for text in (several, one):
        assert max(map(len, text.splitlines())) <= 80
        assert "TFLite Micro decodes it while it runs" in text and "tfopt pack" in text
    assert "lookup table" in one and "Kernels" in one and "Kernels" not in several
    assert "## Kernels" in SizesReport(report.files[:1]).to_markdown()
    assert report.to_dict()["files"][0]["raw"] == report.files[0].raw


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (ImportError("Vela is not installed. Install it with: pip"), "Vela is not installed. Install it"),
        (CannotRunError("Vela cannot compile <bytes>: no."), "vela: a: Vela cannot compile <bytes>: no."),
    ],
)
def test_a_missing_tool_takes_one_line(error, line, plain, tmp_path, monkeypatch):
    def missing(*_):
        raise error

    monkeypatch.setattr(module, "estimate_npu", missing)
    (tmp_path / "a.tflite").write_bytes(plain)
    found = sizes({"a": tmp_path / "a.tflite"})
    assert found.files[0].vela is None and len(found.missing) == 1
    text = " ".join(str(found).split())
    assert line in text and " vela - flash beside" in text


def test_a_float_file_gives_the_npu_nothing_to_compute(tmp_path):
    import keras

    pytest.importorskip("ethosu.vela")
    tfopt.export(keras.Sequential([keras.Input((4,)), keras.layers.Dense(2)]), tmp_path / "a.tflite")
    found = sizes(tmp_path / "a.tflite")
    assert found.files[0].vela is None
    assert found.missing == ("vela: the NPU computes nothing of a.tflite, which is not int8 or int16.",)


def test_kernels_on_the_cpu_are_not_left_out_in_silence(tmp_path):
    import keras
    import numpy as np

    pytest.importorskip("ethosu.vela")
    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(4), keras.layers.Dense(2, name="last")])
    config = tfopt.QuantConfig(overrides={"last": None})
    tfopt.export(tfopt.quantize(model, np.eye(4, dtype="float32"), config), tmp_path / "a.tflite")
    found = sizes(tmp_path / "a.tflite")
    assert found.files[0].vela is None
    assert found.missing == (
        "vela: a.tflite has kernels on the CPU, which Vela does not count: 1 FULLY_CONNECTED.",
    )


@pytest.mark.slow
def test_commands_print_them(plain, tmp_path):
    (tmp_path / "a.tflite").write_bytes(plain)

    def printed_by(*arguments):
        result = run_tfopt(*arguments, cwd=tmp_path)
        assert result.returncode == 0, result.stderr
        return result.stdout

    printed = printed_by("export", "a.tflite", "b.tflite", "--compress", "--sizes")
    assert "Compressed b.tflite" in printed and "What you pay where: b.tflite" in printed
    assert "What you pay where" not in printed_by("inspect", "a.tflite")


def test_an_operator_that_reads_nothing_and_a_network_that_gives_nothing_have_sizes(plain, tmp_path):
    """A file may leave out a list that is empty."""
    file = Flatbuffer(plain)
    file.graph.operators[0].inputs = file.graph.outputs = file.model.signatureDefs = None
    file.changed = True
    (tmp_path / "a.tflite").write_bytes(file.to_bytes())
    (found,) = sizes({"a": tmp_path / "a.tflite"}).files
    assert found.raw > found.packed > 0
