"""Where a grid costs values: parts of a shared grid, columns of an input, samples far from the rest; and what to do."""

import dataclasses
from collections.abc import Iterator, Mapping, Sequence

import keras
import numpy as np

from tfopt.graph import Graph, Node, tensors_in
from tfopt.kernels import JOINED, SAME, Requantize, row_of
from tfopt.quantization._range_remedies import FOR_COLUMNS, FOR_SAMPLES, for_part
from tfopt.quantization.calibration import Observed, codes_used, effective_bits, outliers
from tfopt.quantization.placement import Placement
from tfopt.quantization.simulation import FakeQuantize

# A part with fewer codes than this (4 bits, 24 dB) on a grid of more than this many times its width is worth a word.
_CODES, _TIMES = 16, 8
# Names of columns and samples in a message; the rest is a count.
_NAMED = 5


@dataclasses.dataclass(frozen=True)
class _Site:
    """Where a tensor is rounded: the quantizer, and the range that calibration saw before it."""

    layer: FakeQuantize
    seen: tuple[float, float]

    @property
    def grid(self) -> tuple[float, float]:
        low, high = (float(end) for end in self.layer.nudged_range())
        return low, high

    def loses(self, part: tuple[float, float]) -> bool:
        """Whether a part that has a range at all has few of the grid's codes, beside what is much wider."""
        width, (low, high) = part[1] - part[0], self.grid
        return width > 0 and codes_used(part, self.step) < _CODES and _TIMES * width < high - low

    @property
    def step(self) -> float:
        return float(self.layer.step())


def range_warnings(
    graph: Graph,
    placement: Placement,
    layers: Sequence[FakeQuantize],
    observed: Observed,
    widths: Sequence[int] = (8, 16),
) -> tuple[str, ...]:
    """A sentence for each part, column and sample whose range does not go with the rest.

    Args:
        graph: the graph in which the grids were placed.
        placement: the grids.
        layers: the quantizer of each grid, with its range.
        observed: what calibration saw at their sites, in order.
        widths: the bits of activations that the target computes on.
    """
    pairs = [
        (site, layer) for grid, layer in zip(placement.grids, layers, strict=True) for site in grid.sites
    ]
    sites = {
        id(tensor): _Site(layer, (low, high))
        for (tensor, layer), (low, high) in zip(pairs, observed.ranges.tolist(), strict=True)
    }
    parts = {
        id(tensor): _of_part(graph, placement, node, tensor, sites, max(widths))
        for node in graph.nodes
        if (row := row_of(node)) is not None and row.output == JOINED
        for tensor in node.inputs
    }
    lost = {key: sentence for key, sentence in parts.items() if sentence}
    columns = _of_columns(graph, {key: one for key, one in sites.items() if key not in lost}, observed)
    return (*_of_samples(graph, observed), *lost.values(), *columns)


def _of_samples(graph: Graph, observed: Observed) -> Iterator[str]:
    for tensor, seen in zip(tensors_in(graph.inputs), observed.inputs, strict=True):
        far, times = outliers(seen.reach) if "float" in tensor.dtype else (np.empty(0, int), 1.0)
        if len(far):
            who = f"Sample {_some(far)} of the calibration data reaches"
            who = who if len(far) == 1 else f"Samples {_some(far)} of the calibration data reach"
            yield (
                f"{who} {times:.0f} times as far as the usual one in the input {tensor.name!r}, which widens the steps "
                f"of all layers. {FOR_SAMPLES}"
            )


def _some(numbers: Sequence[int] | np.ndarray) -> str:
    more = len(numbers) - _NAMED
    return ", ".join(str(number) for number in numbers[:_NAMED]) + (f" and {more} more" if more > 0 else "")


def _of_part(
    graph: Graph,
    placement: Placement,
    join: Node,
    tensor: keras.KerasTensor,
    sites: Mapping[int, _Site],
    widest: int,
) -> str:
    """What an input of a concatenation, or of another operation on one grid, loses there; "" for nothing."""
    part = _site_of(graph, tensor, sites)
    shared = (sites.get(id(join.output), part), *_narrowed(graph, join, sites))
    whole = next((one for one in shared if one and part and one.loses(part.seen)), None)
    if part is None or whole is None:
        return ""
    codes, bits = codes_used(part.seen, whole.step), whole.layer.num_bits
    return (
        f"{_name(graph, placement, tensor)!r} shares the grid of {join.path!r} ({_range(whole.grid)}): its values from "
        f"{_range(part.seen)} have {codes:.0f} of {2**bits} codes, {effective_bits(part.seen, whole.step):.1f} of "
        f"{bits} bits. {for_part(graph, join, bits < widest)}"
    )


def _narrowed(graph: Graph, join: Node, sites: Mapping[int, _Site]) -> Iterator[_Site]:
    """Where what was joined in 16 bits is brought to fewer."""
    for node in graph.consumers.get(id(join.output), []):
        if isinstance(node.op, Requantize) and id(node.output) in sites:
            yield sites[id(node.output)]


def _range(ends: tuple[float, float]) -> str:
    return f"{ends[0]:.3g} to {ends[1]:.3g}"


def _site_of(graph: Graph, tensor: keras.KerasTensor, sites: Mapping[int, _Site]) -> _Site | None:
    """Where a tensor was rounded: itself, or what it was moved from."""
    while id(tensor) not in sites:
        node = graph.producers.get(id(tensor))
        row = None if node is None else row_of(node)
        if node is None or row is None or row.output != SAME:
            return None
        tensor = node.inputs[0]
    return sites[id(tensor)]


def _name(graph: Graph, placement: Placement, tensor: keras.KerasTensor) -> str:
    node = graph.producers.get(id(tensor))
    if node is None:
        return tensor.name
    return placement.fused.get(node.path, node.path)


def _of_columns(graph: Graph, sites: Mapping[int, _Site], observed: Observed) -> Iterator[str]:
    """The columns of an input, which one step must serve."""
    for tensor, seen in zip(tensors_in(graph.inputs), observed.inputs, strict=True):
        site = sites.get(id(tensor))
        if site is None or seen.columns.shape[1] < 2:
            continue
        parts = [(float(low), float(high)) for low, high in seen.columns.T]
        lost = [place for place, part in enumerate(parts) if site.loses(part)]
        if lost:
            worst = min(lost, key=lambda place: codes_used(parts[place], site.step))
            few = "column" if len(lost) == 1 else "columns"
            codes = codes_used(parts[worst], site.step)
            yield (
                f"The input {tensor.name!r} has one step of {site.step:.3g} for all of its columns, too wide for {few} "
                f"{_some(lost)}: column {worst} from {_range(parts[worst])} has {codes:.0f} of "
                f"{2**site.layer.num_bits} codes. {FOR_COLUMNS}"
            )
