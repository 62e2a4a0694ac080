"""Models of every form, from `quantize` to the interpreter: what was trained is what is shipped."""

import keras
import numpy as np
import pytest

import tfopt
from tests.models import samples_for, trained_like
from tests.quantization.battery import BATTERY
from tfopt import _host_ops
from tfopt.conversion import _stand_ins
from tfopt.quantization import FakeQuantize

QUICK = {"siamese"}


def trained(name, config=None, **compile_arguments):
    """The quantized model after one training step, and its samples."""
    keras.utils.set_random_seed(0)
    make, _, arguments = BATTERY[name]
    model = trained_like(make())
    x = samples_for(model, 64)
    first = x[:32] if isinstance(x, np.ndarray) else [array[:32] for array in x]
    second = x[32:] if isinstance(x, np.ndarray) else [array[32:] for array in x]
    q = tfopt.quantize(model, calibration=iter([first, second]), config=config)
    q.compile(keras.optimizers.SGD(1e-3), "mse", **{"jit_compile": False, **arguments, **compile_arguments})
    q.fit(x, np.zeros(q.predict(x, verbose=0).shape), batch_size=64, shuffle=False, verbose=0)
    return q, x


@pytest.mark.parametrize(
    "name", [n if n in QUICK else pytest.param(n, marks=pytest.mark.slow) for n in BATTERY]
)
def test_from_quantize_to_the_interpreter(name, tmp_path, monkeypatch):
    q, x = trained(name)
    left_float = {row.kind for row in q.report.layers if row.done == "float"}
    assert left_float == BATTERY[name][1]

    q.save(tmp_path / "q.keras")
    loaded = keras.models.load_model(tmp_path / "q.keras")
    np.testing.assert_array_equal(loaded.predict(x, verbose=0), q.predict(x, verbose=0))

    exported = tfopt.export(loaded, tmp_path / "q.tflite")
    verified = tfopt.verify(q, tmp_path / "q.tflite", x, tolerance=2)
    assert all(output.within_2 >= 0.99 for output in verified.outputs), str(verified)
    # 16 bits of a float are too few for exact sums.
    least = 0.6 if name.startswith("mixed") else 0.95
    assert all(output.equal >= least for output in verified.outputs), str(verified)
    assert bool(exported.float_operators) == bool(left_float)
    assert exported.weight_bits.keys() == {8}

    # As if all kernels were too large for the converter to see, and for more than a row in memory.
    monkeypatch.setattr(_stand_ins, "LARGE", 1)
    monkeypatch.setattr(_host_ops.row_blocks, "__defaults__", (1,))
    tfopt.export(loaded, tmp_path / "aside.tflite")
    runs = (tfopt.runtimes.run(tmp_path / f"{file}.tflite", x).values for file in ("q", "aside"))
    for values, others in zip(*(one.values() for one in runs), strict=True):
        np.testing.assert_array_equal(values, others)


@pytest.mark.slow
def test_xla_trains_the_same_ranges():
    with_xla, without = (trained("backbone_and_head", jit_compile=jit)[0] for jit in (True, False))
    for ours, theirs in zip(with_xla.layers, without.layers, strict=True):
        if isinstance(ours, FakeQuantize):
            np.testing.assert_allclose([*ours.range()], [*theirs.range()], rtol=5e-3)
