"""Which tensor of a file is which of the simulation: by grid and values, for names repeat."""

import numpy as np
import pytest

from tfopt.runtimes._match import Written, match
from tfopt.runtimes._schema import Operator
from tfopt.runtimes._simulation import SimulatedTensor
from tfopt.runtimes._tensors import Tensor

CODES = np.random.default_rng(0).integers(-128, 128, (3, 8))


def written(operator, name, shape=(1, 2, 4), scale=0.5, batch=1):
    tensor = Tensor(7, name, shape, "int8", (scale,), (0,))
    return Written(Operator(operator, (), (tensor,)), tensor, batch)


def simulated(layer, shape=(1, 2, 4)):
    return SimulatedTensor(layer, (layer,), f"{layer}_quantize", 0.5, 128, 8, shape)


# What is in the file with which codes, and which of the simulation's two tensors (CODES[0] and CODES[1]) each is.
FILES = {
    "names that repeat, the other way around": (
        [(written("BATCH_MATMUL", "net/matmul_1"), 1), (written("BATCH_MATMUL", "net/matmul"), 0)],
        {0: 1, 1: 0},
    ),
    "a copy that was only moved": (
        [(written("TRANSPOSE", "net/matmul"), 0), (written("BATCH_MATMUL", "a"), 0), (written("ADD", "b"), 1)],
        {0: 1, 1: 2},
    ),
    "moved before it is read": ([(written("ADD", "a"), 0), (written("BATCH_TO_SPACE_ND", "b"), 1)], {0: 0, 1: 1}),
    "a step off": ([(written("ADD", "a"), 1, 1), (written("ADD", "b"), 0, 1)], {0: 1, 1: 0}),
    "wrong throughout": ([(written("ADD", "a"), 2), (written("ADD", "b"), 1)], {0: 0, 1: 1}),
    "another tensor of the name": ([(written("RESHAPE", "matmul"), 2), (written("ADD", "b"), 1)], {1: 1}),
    "another grid": ([(written("ADD", "matmul", scale=0.25), 0), (written("ADD", "b"), 1)], {1: 1}),
    "a batch of two": (
        [(written("ADD", "a", (2, 2, 4), batch=2), 2), (written("ADD", "b", (2, 2, 4), batch=2), 1)],
        {0: 0, 1: 1},
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", FILES)
def test_pairs(name):
    file, pairs = FILES[name]
    codes = [CODES[one[1]] + sum(one[2:]) for one in file]
    found = match(
        [simulated("matmul"), simulated("matmul_1")],
        [one[0] for one in file],
        lambda at, place: codes[place] - CODES[at],
    )
    assert found == pairs


def test_what_is_no_part_of_a_sample_is_left_out():
    assert match([simulated("table", None)], [written("ADD", "a")], lambda at, place: np.zeros(8)) == {}
