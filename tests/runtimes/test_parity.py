import numpy as np
import pytest

from tfopt.runtimes import Tensor
from tfopt.runtimes._parity import pair_outputs, parity_of

GRID = Tensor(0, "y", (1, 5), "int8", scales=(0.5,), zero_points=(10,))
FLOAT = Tensor(0, "y", (1, 5), "float32")


def test_differences_by_hand() -> None:
    # on the grid, 0.5 * (code - 10), the Keras outputs are 10, 12, 12 (of 0.8 / 0.5 = 1.6), 127 (clipped), -90
    keras_values = np.array([[0.0, 1.0, 0.8, 99.0, -50.0]])
    raw = np.array([[10, 13, 10, 127, -100]], "int8")
    parity = parity_of(GRID, raw, keras_values)
    assert parity.histogram == {"<=-8": 1, "-2": 1, "0": 2, "1": 1}
    assert (parity.equal, parity.within_1, parity.within_2) == (0.4, 0.6, 0.8)
    assert (parity.max_steps, parity.max_abs, parity.values) == (10, 5.0, 5)
    assert not parity.passed


@pytest.mark.parametrize(
    ("off", "tolerance", "passed"), [(0, 0, True), (1, 0, False), (1, 1, True), (-2, 1, False), (-2, 2, True)]
)
def test_tolerance_counts_steps(off: int, tolerance: int, passed: bool) -> None:
    raw = np.full((2, 5), 10, "int8")
    raw[1, 3] += off
    assert parity_of(GRID, raw, np.zeros((2, 5)), tolerance).passed is passed


@pytest.mark.parametrize(("off", "passed"), [(0.9e-3, True), (1.1e-3, False)])
@pytest.mark.parametrize("tolerance", [0, 1, 5])
def test_float_outputs_may_be_off_a_part_of_their_range(off: float, passed: bool, tolerance: int) -> None:
    expected = np.array([[-4.0, 0.0, 6.0]])
    parity = parity_of(FLOAT, expected + np.array([[0.0, off, 0.0]]), expected, tolerance)
    assert parity.passed is passed
    assert parity.max_abs == pytest.approx(off)
    assert parity.max_relative == pytest.approx(off / 10)
    assert (parity.max_steps, parity.histogram, parity.equal) == (None, {}, 2 / 3)


@pytest.mark.parametrize("bad", [np.nan, np.inf])
@pytest.mark.parametrize(
    ("tensor", "side"),
    [(GRID, "model"), (FLOAT, "model"), (FLOAT, "file"), (FLOAT, "both")],
    ids=["int8", "model", "file", "both"],
)
def test_nan_never_passes(bad: float, tensor: Tensor, side: str) -> None:
    raw = np.full((1, 5), tensor.zero_point, tensor.dtype)
    expected = np.zeros((1, 5))
    if side in ("file", "both"):
        raw[0, 2] = bad
    if side in ("model", "both"):
        expected[0, 2] = bad
    parity = parity_of(tensor, raw, expected)
    assert (parity.passed, parity.not_finite, parity.within_1, parity.max_abs) == (False, 1, 0.8, 0.0)


def test_other_shapes_are_refused() -> None:
    with pytest.raises(
        ValueError, match=r"'y' of the file has the shape \(2, 5\) .* and the Keras model's has \(2, 4\)"
    ):
        parity_of(GRID, np.zeros((2, 5), "int8"), np.zeros((2, 4)))


def test_outputs_are_paired_by_name_or_in_order() -> None:
    one, two = np.ones(1), np.full(1, 2.0)
    names = (Tensor(0, "a", (1,), "int8"), Tensor(1, "b", (1,), "int8"))
    assert pair_outputs({"b": two, "a": one}, names) == [one, two]
    assert pair_outputs([one, two], names) == [one, two]
    assert pair_outputs(one, names[:1]) == [one]
    with pytest.raises(ValueError, match=r"The file has 2 outputs, \['a', 'b'\], and the Keras model has 1"):
        pair_outputs(one, names)
