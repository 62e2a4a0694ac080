"""QUANTIZE, which brings floats to codes: where each runtime takes halves."""

import numpy as np
import pytest

from tests.kernels.one_operator import RUNTIMES, Tensor, one_operator
from tfopt.kernels import FAMILIES, Grid, round_to

HALVES = np.float32([-2.5, -1.5, -0.5, 0.5, 1.5, 2.5, 3.5, 0.49999997]).reshape(1, 1, 1, 8)


@pytest.mark.parametrize("step", [0.1, 1.0])
@pytest.mark.parametrize("num_bits", [8, 16])
@pytest.mark.parametrize("family", FAMILIES)
def test_halves(family, num_bits, step):
    numbers, codes = Tensor(HALVES.shape, "float32"), Tensor(HALVES.shape, f"int{num_bits}", step)
    x = HALVES * np.float32(step)
    written = RUNTIMES[family](one_operator("QUANTIZE", [numbers], [codes], "QuantizeOptions"), [x])
    grid = Grid(np.float32(step), np.float32(2 ** (num_bits - 1)))
    ours = np.array(round_to(grid, x, num_bits, FAMILIES[family].quantize_ties))
    np.testing.assert_array_equal(np.round(ours / grid.step).ravel(), np.ravel(written))
