"""Today's kernels of LiteRT against what its default kernels (XNNPACK) wrote when they were recorded."""

import numpy as np
import pytest

from tests.kernels.golden import DATA, Golden, load
from tests.kernels.simulated import simulated


@pytest.mark.parametrize("golden", load(DATA / "xnnpack_kernels.npz"), ids=lambda golden: golden.name)
def test_codes_are_those_of_litert(golden: Golden) -> None:
    codes = simulated(golden.sample, "xnnpack").reshape(golden.written.shape)
    np.testing.assert_array_equal(codes, golden.written)
