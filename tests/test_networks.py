"""The networks that people bring are int8 files whole: no float operator, equal to their simulation, and on the NPU."""

import importlib.util
from collections import Counter

import keras
import pytest

import tfopt
from tests.models import trained_like
from tests.networks import NETWORKS
from tfopt.conversion import _stand_ins
from tfopt.runtimes import estimate_npu

# `quantization/test_battery.py` has the ViT; `benchmarks/networks.py` runs all, for both runtimes.
ROWS = (
    "Swin blocks",
    "Conformer block",
    "LSTM keyword net",
    "Bi-LSTM",
    "CRNN",
    "DeepLab-like",
    "Transformer",
)


@pytest.mark.slow
@pytest.mark.parametrize("name", ROWS)
def test_a_network_in_integers(name, tmp_path, monkeypatch):
    monkeypatch.setattr(_stand_ins, "LARGE", 1)  # tiny kernels go the way of large ones too
    keras.utils.set_random_seed(0)
    row = NETWORKS[name]
    model = trained_like(row.make())
    samples = row.samples(model, 24)
    q = tfopt.quantize(model, samples, tfopt.QuantConfig.for_target("ethos-u"), strict=True)
    report = tfopt.export(q, tmp_path / "model.tflite", strict=True)
    assert not report.float_operators
    # Windows lie on the axis of the samples in a Swin block, and its operations have the same names again and again.
    inside = True if name in ("Swin blocks", "DeepLab-like") else None
    verified = tfopt.verify(q, tmp_path / "model.tflite", samples, per_tensor=inside)
    (parity,) = verified.outputs
    assert parity.equal == 1.0 and parity.runtime == "tflm"
    assert verified.first_drift is None and not verified.unmatched
    if name == "LSTM keyword net":
        weights = model.count_params()
        assert (tmp_path / "model.tflite").stat().st_size <= 1.3 * weights
    if importlib.util.find_spec("ethosu") is not None:
        left = estimate_npu(tmp_path / "model.tflite", "ethos-u55-128").cpu
        assert Counter(op.operator for op in left) == row.on_cpu
