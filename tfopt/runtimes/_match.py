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

# Operators that move values: what they write was rounded by the kernel of another, before them.
_MOVING = (
    "BATCH_TO_SPACE_ND", "BROADCAST_TO", "DEPTH_TO_SPACE", "EXPAND_DIMS", "GATHER", "MIRROR_PAD", "PAD", "PADV2",
    "RESHAPE", "REVERSE_V2", "SLICE", "SPACE_TO_BATCH_ND", "SPACE_TO_DEPTH", "SPLIT", "SPLIT_V", "SQUEEZE",
    "STRIDED_SLICE", "TILE", "TRANSPOSE", "UNPACK",
)  # fmt: skip

# A pair of which so many values are the same or neighbours is one tensor, wherever it stands.
_SURE = 0.5


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

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of one sample."""
        first, *rest = self.tensor.shape or (1,)
        return (max(first // self.batch, 1), *rest)


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
    steps: Callable[[int, int], np.ndarray],
) -> dict[int, int]:
    """Pairs the simulation's tensors with those of a file.

    Both describe one graph, but the converter joins, splits, renames and reorders, and names of operations repeat. What
    tells a tensor from all others are its grid and its values: a file that drifts is off by a step or two. So a pair
    must have the same number of values per sample on the same grid. Pairs whose values are near come first; a kernel
    that computes comes before an operator that moves what was computed; then the shape, the name, the share of equal
    values and the position decide. Where the values are not near, the pair must have the same shape as well, and be
    computed: a layer that is wrong throughout is still found.

    Args:
        simulated: the simulation's tensors, in graph order.
        written: the file's tensors, in the order in which they are written.
        steps: how many steps each value of a pair is off, by the two positions.

    Returns:
        Position among `simulated` -> position among `written`.

    Example:

    >>> tensor = Tensor(7, "net/conv_1/Relu;net/conv_1/convolution", (1, 4), "int8", (0.5,), (0,))
    >>> one = SimulatedTensor("conv", ("relu", "conv"), "conv_quantize", 0.5, 128, 8, (4,))
    >>> match([one], [Written(Operator("CONV_2D", (), (tensor,)), tensor, 1)], lambda s, w: np.zeros(4))
    {0: 0}
    """
    scores = []
    for at, ours in enumerate(simulated):
        for place, theirs in enumerate(written):
            if not ours.size or ours.size != theirs.size or not same_grid(ours, theirs.tensor):
                continue
            off = np.abs(steps(at, place))
            near, equal = float(np.mean(off <= 2)), float(np.mean(off == 0))
            computed = theirs.operator.name not in _MOVING
            shape, name = _sides(ours.shape or ()) == _sides(theirs.shape), _share_a_name(ours, theirs.tensor)
            if near >= _SURE or (shape and computed):
                distance = abs(at / len(simulated) - place / len(written))
                order = (near >= _SURE, computed, round(near, 1), shape, name, equal, -distance)
                scores.append((order, at, place))
    pairs: dict[int, int] = {}
    taken: set[int] = set()
    for _, at, place in sorted(scores, key=lambda score: score[0], reverse=True):
        if at not in pairs and place not in taken:
            pairs[at] = place
            taken.add(place)
    return dict(sorted(pairs.items()))


def same_grid(ours: SimulatedTensor, theirs: Tensor) -> bool:
    """Whether both count in the same steps from the same zero."""
    lowest = int(np.iinfo(theirs.dtype).min)
    fits = math.isclose(ours.scale, theirs.scale or 0.0, rel_tol=1e-6)
    return fits and ours.bits == theirs.bits and ours.zero_point + lowest == theirs.zero_point


def _sides(shape: Sequence[int]) -> list[int]:
    return [side for side in shape if side != 1]


def _share_a_name(ours: SimulatedTensor, theirs: Tensor) -> bool:
    """Whether the converter's name for a tensor holds the name of one of our layers, with or without numbers."""
    return any(
        re.fullmatch(rf"{re.escape(name.lower())}(_\d+)*", part)
        for part in re.split(r"[/;:]", theirs.name.lower())
        for name in ours.names
    )
