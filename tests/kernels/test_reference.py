"""The reference family against TFLite Micro's interpreter, on random codes and grids."""

import dataclasses
import importlib.util

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.kernels.golden import DATA, Golden, load
from tests.kernels.one_operator import run_micro
from tests.kernels.probes import NAMES, message
from tests.kernels.record import kinds_of
from tests.kernels.samples import OPERATIONS, Grid, Sample, random_sample
from tests.kernels.simulated import simulated
from tests.kernels.weighted import WEIGHTED, Weighted, random_weighted
from tfopt.kernels import FAMILIES
from tfopt.kernels.reference import _integers, _operators

REFERENCE = FAMILIES["reference"]
smallest_step = REFERENCE.smallest_step

needs_micro = pytest.mark.skipif(
    importlib.util.find_spec("tflite_micro") is None,
    reason="tflite_micro is not installed",
)
_seeds = st.integers(0, 2**32 - 1)
_few = settings(max_examples=5, deadline=None, derandomize=True)
_GOLDEN = load(DATA / "reference_kernels.npz")


def check(sample: Sample | Weighted) -> None:
    codes = [sample.codes] if isinstance(sample, Weighted) else list(sample.codes)
    written = run_micro(sample.content(), codes)
    ours = simulated(sample, "reference").reshape(written.shape)
    np.testing.assert_array_equal(ours, written, err_msg=str((sample.output, getattr(sample, "grids", None))))


@needs_micro
@pytest.mark.parametrize("kind", kinds_of("reference", 8))
@given(seed=_seeds)
@_few
def test_int8_kernels_write_the_codes_of_tflite_micro(kind: str, seed: int) -> None:
    check(random_sample(OPERATIONS[kind], 8, np.random.default_rng(seed)))


@needs_micro
@pytest.mark.slow
@pytest.mark.parametrize("kind", kinds_of("reference", 16))
@given(seed=_seeds)
@_few
def test_int16_kernels_write_the_codes_of_tflite_micro(kind: str, seed: int) -> None:
    check(random_sample(OPERATIONS[kind], 16, np.random.default_rng(seed)))


@needs_micro
@pytest.mark.parametrize(("num_bits", "bias_bits"), [(8, 32), pytest.param(16, 64, marks=pytest.mark.slow)])
@pytest.mark.parametrize("per_channel", [True, False], ids=["channels", "tensor"])
@pytest.mark.parametrize("name", WEIGHTED)
@given(seed=_seeds)
@_few
def test_weighted_kernels_write_the_codes_of_tflite_micro(
    name: str, per_channel: bool, num_bits: int, bias_bits: int, seed: int
) -> None:
    check(random_weighted(name, num_bits, per_channel, np.random.default_rng(seed), bias_bits))


@needs_micro
@pytest.mark.parametrize(
    "name", ["CONV_2D", "FULLY_CONNECTED"]
)  # the others read 64 bits whatever the bias has
@given(seed=_seeds)
@_few
def test_a_bias_of_32_bits_makes_int16_kernels_round_twice(name: str, seed: int) -> None:
    check(random_weighted(name, 16, True, np.random.default_rng(seed), bias_bits=32))


@needs_micro
@pytest.mark.parametrize(("num_bits", "output_bits"), [(8, 16), (16, 8)])
@given(seed=_seeds)
@_few
def test_quantize_writes_codes_of_another_width(num_bits: int, output_bits: int, seed: int) -> None:
    check(random_sample(OPERATIONS["Requantize"], num_bits, np.random.default_rng(seed), output_bits))


@needs_micro
@pytest.mark.parametrize("step", [1e-4, 0.01, 0.1, 1.0, 10.0])
@pytest.mark.parametrize("kind", ["sigmoid", "tanh", "softmax", "log_softmax", "hard_silu"])
def test_curves_of_all_codes_with_small_and_large_steps(kind: str, step: float) -> None:
    codes = np.arange(-128, 128).astype("int8").reshape(1, 256)
    for zero_point in (-128, -3, 127):
        operation = OPERATIONS[kind]
        source = Grid(float(np.float32(step)), zero_point)
        output = operation.fixed[8] if operation.fixed else Grid(float(np.float32(step * 0.7)), -20)
        check(Sample(operation, (source,), output, (codes,)))


@needs_micro
@pytest.mark.parametrize("num_bits", [8, 16])
def test_operators_are_those_of_the_wheel(num_bits: int) -> None:
    refused = {name: text for name in NAMES if (text := message(name, num_bits))}
    kernels = {8: _operators.OPERATORS_INT8, 16: _operators.OPERATORS_INT16}[num_bits]
    assert set(kernels) == set(NAMES) - set(refused)
    listed = {8: _operators.REFUSED_INT8, 16: _operators.REFUSED_INT16}[num_bits]
    narrow = _operators.REFUSED_INT8 if num_bits == 16 else {}
    for name, text in refused.items():
        if name in _operators.ABSENT:
            assert "Didn't find op" in text
        elif name not in narrow:
            assert listed[name] == text
    assert set(listed) | set(narrow) | set(_operators.ABSENT) == set(refused)


@pytest.mark.parametrize(
    "kind",
    [
        "Mean",
        *(pytest.param(k, marks=pytest.mark.slow) for k in ("Add", "hard_silu", "softmax", "log_softmax")),
    ],
)
def test_compiled_functions_write_the_same_codes(kind: str) -> None:
    """With steps and zero points as tensors, and nothing that a compiler may merge."""
    golden = next(row for row in _GOLDEN if row.name == f"{kind}-8-8")
    sample = golden.sample

    @tf.function(jit_compile=True)
    def codes(
        steps: list[tf.Tensor], output_step: tf.Tensor, x: tf.Tensor, operands: list[tf.Tensor]
    ) -> tf.Tensor:
        sources = [_Source(step, grid) for step, grid in zip(steps, sample.grids, strict=True)]
        return REFERENCE.int8[kind](sources, x, operands, sample.output.grid()._replace(step=output_step))

    steps = [tf.constant(grid.step()) for grid in sample.grids]
    counted = codes(steps, tf.constant(sample.output.step()), sample.x(), sample.operands())
    np.testing.assert_array_equal(sample.output.stored(counted).reshape(golden.written.shape), golden.written)


@dataclasses.dataclass
class _Source:
    value: tf.Tensor
    exact: Grid
    num_bits: int = 8

    def step(self) -> tf.Tensor:
        return self.value

    def grid(self) -> object:
        return self.exact.grid()._replace(step=self.value)


@pytest.mark.slow
@pytest.mark.parametrize("golden", _GOLDEN, ids=lambda golden: golden.name)
def test_without_wide_integers_codes_are_next_to_those(
    golden: Golden, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As on JAX: rounding once in float32 is off by a step, and seldom; fixed point has errors of its own."""
    monkeypatch.setattr(_integers, "product_dtype", lambda: "float32")
    codes = simulated(golden.sample, "reference").reshape(golden.written.shape).astype("int64")
    off = np.abs(codes - golden.written)
    most = 1 if golden.written.dtype == "int8" else 40
    assert off.max() <= most, off.max()
    assert (off > 0).mean() < 0.1 or golden.written.dtype == "int16"


def test_every_kind_of_the_tables_has_a_sample() -> None:
    aliases = {"Einsum", "Dot", "GlobalAveragePooling1D", "GlobalAveragePooling2D", "GlobalAveragePooling3D"}
    aliases |= {"AveragePooling1D"}
    # Sums with numbers that only we know: tests/conversion/test_wide_parts.py.
    aliases |= {"AddMask", "AddMask of a constant"}
    assert {*REFERENCE.int8, *REFERENCE.int16} - aliases <= set(OPERATIONS)


@pytest.mark.parametrize(
    ("kind", "num_bits", "expected"),
    [("Add", 8, 0.5 / 2**19), ("Subtract", 16, 0.5 / 2**14), ("hard_silu", 8, 0.25 / 2**7)],
)
def test_kernels_refuse_finer_steps(kind: str, num_bits: int, expected: float) -> None:
    steps = (0.25, 0.5) if kind != "hard_silu" else (0.25,)
    assert float(smallest_step(kind, steps, num_bits)) == pytest.approx(expected, rel=2e-3)
    assert float(smallest_step(kind, steps, num_bits)) > expected
