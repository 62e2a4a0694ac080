"""Today's kernels of LiteRT against what its default kernels (XNNPACK) wrote when they were recorded."""

import numpy as np
import pytest

from tests.kernels.golden import DATA, Golden, load
from tests.kernels.samples import OPERATIONS, Grid, Sample
from tests.kernels.simulated import simulated


@pytest.mark.parametrize("golden", load(DATA / "xnnpack_kernels.npz"), ids=lambda golden: golden.name)
def test_codes_are_those_of_litert(golden: Golden) -> None:
    codes = simulated(golden.sample, "xnnpack").reshape(golden.written.shape)
    np.testing.assert_array_equal(codes, golden.written)


@pytest.mark.parametrize("sign", [1, -1])
def test_a_difference_of_16_bit_codes_is_summed_in_all_its_digits(sign: int) -> None:
    """LiteRT 2.3 writes 4970; a float32 between the two roundings made it 4971."""
    grids = Grid(9.988248348236084e-05, 0, 16), Grid(2.6710331439971924e-05, 0, 16)
    codes = tuple(np.full((1, 1), sign * code, "int16") for code in (5487, 3903))
    sample = Sample(OPERATIONS["Subtract"], grids, Grid(8.928775787353516e-05, 0, 16), codes)
    assert simulated(sample, "xnnpack") == sign * 4970
