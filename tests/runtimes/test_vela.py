"""What Vela says of files, and what becomes of it where it fails."""

import importlib.util
import json
from collections.abc import Callable

import keras
import numpy as np
import pytest

import tfopt
from tfopt.runtimes import CannotRunError, CpuOperator, estimate_npu
from tfopt.runtimes._vela import ACCELERATORS, SYSTEMS

INSTALLED = importlib.util.find_spec("ethosu") is not None
needs_vela = pytest.mark.skipif(not INSTALLED, reason="Vela is not installed")


@pytest.fixture(scope="module")
def model() -> tuple[keras.Model, np.ndarray]:
    keras.utils.set_random_seed(0)
    inputs = keras.Input((8, 8, 2))
    x = keras.layers.Conv2D(4, 3, activation="relu")(inputs)
    x = keras.ops.sin(x)
    model = keras.Model(inputs, keras.layers.Dense(3)(keras.layers.GlobalAveragePooling2D()(x)))
    return model, np.random.default_rng(0).normal(size=(16, 8, 8, 2)).astype("float32")


@needs_vela
@pytest.mark.parametrize("accelerator", ["ethos-u55-32", "ethos-u65-512", "ethos-u85-256"])
def test_an_integer_file_is_all_on_the_npu(files: dict[str, bytes], accelerator: str) -> None:
    report = estimate_npu(files["residual int8"], accelerator)
    system, memory = SYSTEMS[accelerator.rsplit("-", 1)[0]]
    assert (report.accelerator, report.system_config, report.memory_mode) == (accelerator, system, memory)
    assert (report.npu_share, report.cpu) == (1.0, ())
    assert report.cycles > 0 and report.inference_ms > 0 and report.macs > 0
    assert report.sram_bytes > 0 and report.flash_bytes + report.dram_bytes > 0
    assert json.loads(json.dumps(report.to_dict()))["cycles"] == report.cycles
    assert max(map(len, str(report).splitlines())) <= 80


@needs_vela
def test_a_slower_memory_takes_longer(files: dict[str, bytes]) -> None:
    fast = estimate_npu(files["residual int8"])
    slow = estimate_npu(
        files["residual int8"], system_config="Ethos_U55_Deep_Embedded", memory_mode="Sram_Only"
    )
    assert slow.inference_ms > fast.inference_ms
    assert "Ethos_U55_Deep_Embedded, Sram_Only" in str(slow)


@needs_vela
def test_a_float_file_stays_on_the_cpu(files: dict[str, bytes]) -> None:
    """Vela ends with exit code 0."""
    report = estimate_npu(files["dense"])
    assert (report.npu_share, report.cycles) == (0.0, 0)
    (op,) = report.cpu
    assert op.operator == "FULLY_CONNECTED"
    assert op.reason.startswith("Operation has tensor with unsupported DataType Float32")
    assert (
        "On the CPU: 1 FULLY_CONNECTED (Operation has tensor with unsupported DataType Float32)."
        in " ".join(str(report).split())
    )


@needs_vela
def test_each_operator_on_the_cpu_has_a_reason(
    model: tuple, tmp_path_factory: pytest.TempPathFactory
) -> None:
    network, x = model
    q = tfopt.quantize(network, calibration=x)
    path = tfopt.export(q, tmp_path_factory.mktemp("vela") / "model.tflite").path
    report = estimate_npu(path)
    assert 0 < report.npu_share < 1
    assert len(report.cpu) + round(report.npu_share * report.operators) == report.operators
    assert {"SIN", "DEQUANTIZE"} <= {op.operator for op in report.cpu}
    assert all(isinstance(op, CpuOperator) and op.reason and op.tensor for op in report.cpu)


@needs_vela
def test_a_crash_is_an_error_with_a_reason(tmp_path_factory: pytest.TempPathFactory) -> None:
    """On 4-bit weights Vela 5.2 divides by zero."""
    network = keras.Sequential([keras.Input((8, 8, 2)), keras.layers.Conv2D(4, 3)])
    x = np.random.default_rng(0).normal(size=(16, 8, 8, 2)).astype("float32")
    q = tfopt.quantize(network, calibration=x, config=tfopt.QuantConfig(weight_bits=4))
    path = tfopt.export(q, tmp_path_factory.mktemp("vela") / "model.tflite").path
    with pytest.raises(
        CannotRunError, match=r"it crashed with SIGFPE. It crashes on weights of 4 bits: use 8."
    ):
        estimate_npu(path)


@needs_vela
def test_an_unknown_memory_mode_says_so(files: dict[str, bytes]) -> None:
    with pytest.raises(CannotRunError, match=r"Memory_Mode.Nothing not found .* Check 'system_config'"):
        estimate_npu(files["dense int8"], memory_mode="Nothing")


def test_unknown_accelerators_are_refused(files: dict[str, bytes]) -> None:
    with pytest.raises(ValueError, match=r"must be one of ethos-u55-32, .*. Got 'ethos-u55' instead"):
        estimate_npu(files["dense int8"], "ethos-u55")
    assert len(ACCELERATORS) == 11


def test_what_is_not_installed_says_how_to_get_it(
    files: dict[str, bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    find: Callable = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if "ethosu" in name else find(name))
    with pytest.raises(ImportError, match=r"not installed. Install it with: pip install 'tfopt\[mcu\]'"):
        estimate_npu(files["dense int8"])


def test_a_file_that_is_missing_is_refused() -> None:
    with pytest.raises(ValueError, match=r"'nowhere\.tflite', which is no such file"):
        estimate_npu("nowhere.tflite")
