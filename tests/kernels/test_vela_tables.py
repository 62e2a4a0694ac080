"""What Vela documents of Ethos-U's arithmetic: the tables that it makes hold the codes of the reference kernels."""

from types import SimpleNamespace

import numpy as np
import pytest

from tests.kernels.samples import OPERATIONS, Grid, Sample
from tests.kernels.simulated import simulated
from tfopt.kernels.reference import _curves

optimiser = pytest.importorskip("ethosu.vela.tflite_graph_optimiser")

# Kind -> what Vela calls the operator, and what makes its table.
TABLES = {
    "sigmoid": ("Sigmoid", optimiser.convert_tanh_sigmoid_to_lut),
    "tanh": ("Tanh", optimiser.convert_tanh_sigmoid_to_lut),
    "hard_silu": ("HardSwish", optimiser.convert_hardswish_to_lut),
}


def tensor(grid: Grid) -> SimpleNamespace:
    quantization = SimpleNamespace(scale_f32=grid.step(), zero_point=grid.zero_point)
    return SimpleNamespace(dtype=optimiser.DataType.int8, quantization=quantization)


@pytest.mark.parametrize("step", [0.003, 0.02, 0.047, 0.11])
@pytest.mark.parametrize("kind", TABLES)
def test_tables_hold_the_codes_of_the_reference_kernels(kind, step, monkeypatch):
    name, make = TABLES[kind]
    monkeypatch.setattr(optimiser, "convert_to_lut", lambda op, values, name: values)
    codes, operation = np.arange(-128, 128).astype("int8").reshape(1, 256), OPERATIONS[kind]
    for zero_point in (-128, -3, 60):
        source = Grid(float(np.float32(step)), zero_point)
        output = operation.fixed[8] if operation.fixed else Grid(float(np.float32(step * 0.7)), -20)
        ifm, ofm = tensor(source), tensor(output)
        op = SimpleNamespace(
            type=getattr(optimiser.Op, name), ifm=ifm, ofm=ofm, get_ifm_ofm=lambda ends=(ifm, ofm): ends
        )
        sample = Sample(operation, (source,), output, (codes,))
        np.testing.assert_array_equal(simulated(sample, "reference").ravel(), make(op, None, None))


@pytest.mark.parametrize("step", [0.003, 0.02, 0.047, 0.11])
def test_the_exponentials_of_a_softmax_are_those_of_the_reference_kernel(step):
    from ethosu.vela.softmax import SoftMax

    below, logits, lowest = _curves._logits(_curves.whole(np.arange(-255, 1)), np.float32(step))
    ours = np.where(below >= lowest, _curves.exp_of_negative(logits, _curves._LOGIT_BITS), 0)
    np.testing.assert_array_equal(SoftMax(None).generate_exp_table(1.0, np.float32(step)), ours)
