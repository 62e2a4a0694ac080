import json
from collections.abc import Callable

import keras
import numpy as np
import pytest

from tfopt.runtimes import inspect, measure_size


def test_one_row_for_each_operator(files: dict[str, bytes], residual: keras.Model) -> None:
    report = inspect(files["residual int8"])
    conv, depthwise, add, *_, softmax = report.operators
    kernel = residual.layers[1].kernel.numpy()
    assert (conv.op, conv.shape, conv.dtype, conv.bits) == ("CONV_2D+RELU", (1, 8, 8, 4), "int8", 8)
    assert conv.sparsity == np.mean(kernel == 0)
    assert conv.bytes == kernel.size + 4 * 4  # int8 weights and an int32 bias
    assert (depthwise.op, depthwise.bits) == ("DEPTHWISE_CONV_2D", 8)
    assert (add.op, add.bits, add.sparsity, add.bytes) == ("ADD", None, None, 0)
    assert softmax.scale == 1 / 256


def test_totals(files: dict[str, bytes]) -> None:
    report = inspect(files["dense float16"])
    size = measure_size(files["dense float16"])
    assert (report.raw_bytes, report.gzip_bytes) == (size.raw, size.gzip)
    assert (report.weight_bits, report.float_ops, report.inner_quantize_ops) == ({16: 48}, 1, 1)
    assert [row.bytes for row in report.operators] == [96, 0]  # the kernel counts once, where it is stored
    assert [row.bits for row in report.operators] == [None, 16]


@pytest.mark.parametrize("name", ["residual", "residual int8", "dense float16", "two int8"])
def test_the_report_fits_a_terminal_and_json(path_of: Callable, name: str) -> None:
    report = inspect(path_of(name))
    text = str(report)
    assert max(map(len, text.splitlines())) <= 80
    assert all(row.op in text for row in report.operators)
    assert json.loads(json.dumps(report.to_dict(), allow_nan=False))["raw_bytes"] == report.raw_bytes


def test_custom_operators_are_named(flex_file: bytes) -> None:
    assert inspect(flex_file).custom_ops == ("FlexMatrixInverse",)
    assert "FlexMatrixInverse" in str(inspect(flex_file))


def test_a_missing_file_is_refused() -> None:
    with pytest.raises(ValueError, match=r"'nowhere.tflite', which is no such file"):
        inspect("nowhere.tflite")
