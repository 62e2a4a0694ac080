"""Shrunk models, all the way to the int8 file: it computes what the shrunk model computes, and no more in float."""

from pathlib import Path

import keras
import numpy as np
import pytest

import tfopt
from tests.models import MODELS, trained_like
from tests.shrinking.nets import CASES, inputs_for
from tfopt.runtimes import TFLiteFile

NETS = {
    "residual": MODELS["residual"],
    "squeeze_and_excitation": CASES["squeeze_and_excitation"],
    "attention": CASES["attention"],
}


@pytest.mark.parametrize(
    "name", ["residual", *(pytest.param(n, marks=pytest.mark.slow) for n in NETS if n != "residual")]
)
def test_a_shrunk_model_becomes_an_int8_file(name: str, tmp_path: Path) -> None:
    model = trained_like(NETS[name]())
    x = inputs_for(model, 32)
    small = tfopt.shrink(model, channels=0.5, divisor=1)
    tfopt.update_batch_norm(small, x)
    sizes = {}
    for label, net in (("dense", model), ("small", small)):
        quantized = tfopt.quantize(net, x)
        report = tfopt.export(quantized, tmp_path / f"{label}.tflite")
        sizes[label] = sum(kernel.size for kernel in TFLiteFile.read(tmp_path / f"{label}.tflite").kernels)
    assert sizes["small"] < 0.6 * sizes["dense"]
    left_float = {row.kind for row in quantized.report.layers if row.done == "float"}
    assert not report.float_operators or left_float
    assert left_float <= {"PartialLayerNormalization", "EinsumDense", "DotProductAttention", "gelu", "Mean"}
    (output,) = tfopt.verify(quantized, tmp_path / "small.tflite", x, tolerance=2).outputs
    # Float operators between integer ones round where the simulation does not.
    assert output.within_2 >= (0.95 if left_float else 1.0) and output.equal > 0.25
    assert np.isfinite(keras.ops.convert_to_numpy(small(x))).all()
