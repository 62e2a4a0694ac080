"""Which tensor of a .tflite file is which tensor of the simulation."""

import dataclasses
import math
import re
from collections.abc import Callable, Sequence

import numpy as np

from tfopt.runtimes._schema import Operator
from tfopt.runtimes._simulation import SimulatedTensor
from tfopt.runtimes._tensors import Tensor
from tfopt.runtimes._tflite_file import TFLiteFile

# Operators that only change the shape of their input: they write the values of the tensor before them.
_RESHAPING = ("EXPAND_DIMS", "RESHAPE", "SQUEEZE")


@dataclasses.dataclass(frozen=True, eq=False)
class Written:
    """A tensor on an integer grid that an operator of the network writes.

    Args:
        operator: the operator.
        tensor: the tensor.
        batch: samples that it holds.
    """

    operator: Operator
    tensor: Tensor
    batch: int

    @property
    def size(self) -> int:
        """Values of one sample."""
        return self.tensor.size // self.batch


def written_tensors(file: TFLiteFile) -> list[Written]:
    """The tensors of a file that can be compared, in the order in which they are written."""
    return [
        Written(op, tensor, file.batch_size)
        for op in file.operators
        for tensor in op.outputs
        if op.subgraph == 0 and tensor.scale and not tensor.is_float
    ]


def match(
    simulated: Sequence[SimulatedTensor],
    written: Sequence[Written],
    equal: Callable[[int, int], float],
) -> dict[int, int]:
    """Pairs the simulation's tensors with those of a file.

    Both describe one graph, but the converter joins, splits, renames and reorders. A pair must have the same number of
    values per sample, and the same grid or a common name. If several are possible, one that is computed and not only
    reshaped comes first; then the shape, the name, the share of equal values and the position decide. The most certain
    pairs are made first.

    Args:
        simulated: the simulation's tensors, in graph order.
        written: the file's tensors, in the order in which they are written.
        equal: the share of equal values of a pair, by the two positions.

    Returns:
        Position among `simulated` -> position among `written`.

    Example:

    >>> tensor = Tensor(7, "net/conv_1/Relu;net/conv_1/convolution", (1, 4), "int8", (0.5,), (0,))
    >>> one = SimulatedTensor("conv", ("relu", "conv"), "conv_quantize", 0.5, 128, 8, (4,))
    >>> match([one], [Written(Operator("CONV_2D", (), (tensor,)), tensor, 1)], lambda s, w: 1.0)
    {0: 0}
    """
    scores = []
    for at, ours in enumerate(simulated):
        for place, theirs in enumerate(written):
            grid, name = same_grid(ours, theirs.tensor), _share_a_name(ours, theirs.tensor)
            if ours.size and ours.size == theirs.size and (grid or name):
                distance = abs(at / len(simulated) - place / len(written))
                shape = _sides(ours.shape) == _sides(theirs.tensor.shape)
                computed = theirs.operator.name not in _RESHAPING
                scores.append(((grid, computed, shape, name, equal(at, place), -distance), at, place))
    pairs: dict[int, int] = {}
    for _, at, place in sorted(scores, key=lambda score: score[0], reverse=True):
        if at not in pairs and place not in pairs.values():
            pairs[at] = place
    return dict(sorted(pairs.items()))


def same_grid(ours: SimulatedTensor, theirs: Tensor) -> bool:
    """Whether both count in the same steps from the same zero."""
    lowest = int(np.iinfo(theirs.dtype).min)
    fits = math.isclose(ours.scale, theirs.scale or 0.0, rel_tol=1e-6)
    return fits and ours.bits == theirs.bits and ours.zero_point + lowest == theirs.zero_point


def _sides(shape: Sequence[int | None]) -> list[int | None]:
    return [side for side in shape if side != 1]


def _share_a_name(ours: SimulatedTensor, theirs: Tensor) -> bool:
    """Whether the converter's name for a tensor holds the name of one of our layers, with or without numbers."""
    return any(
        re.fullmatch(rf"{re.escape(name.lower())}(_\d+)*", part)
        for part in re.split(r"[/;:]", theirs.name.lower())
        for name in ours.names
    )
