"""Concatenations that would put parts on one grid for nothing: slices of them, splits, and scales behind them."""

import itertools
from collections import Counter
from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
from keras import layers

from tfopt.graph import Expansion, Graph, Node, affine_of, inline, kind, tensors_in

# Layers that are one factor and one offset per channel, which the model holds as numbers.
_SCALES = ("Divide", "Multiply", "Normalization", "Rescaling", "TrueDivide")
# Parts whose factors differ by this much come from ranges that differ so: 8 times are 3 of the 8 bits.
_TIMES = 8.0


def part_joins(graph: Graph) -> tuple[Graph, dict[str, tuple[str, str]]]:
    """The graph in which parts of a concatenation keep grids of their own, where no number changes by that.

    A slice or split of a concatenation that lies within one part reads that part. Scales per column behind one, as of
    a `Normalization`, go before it, one to a part, where they differ by 8 times or more from part to part: all codes
    of the concatenation's one grid then serve columns of like ranges. As many numbers are scaled as before, by an
    operator for each part.

    Args:
        graph: a captured graph. It is not changed.

    Returns:
        A graph that computes the same; and for each path that was changed, or that left the graph, the kind of its
        operation and what became of it.
    """
    calls = Counter(id(node.op) for node in graph.nodes)
    notes: dict[str, tuple[str, str]] = {}

    def expand(node: Node) -> Expansion | None:
        if node.opaque or len(node.inputs) != 1:
            return None
        if kind(node.op) == "GetItem":
            found = _taken_by_slice(graph, node)
        elif kind(node.op) == "Split":
            found = _taken_by_split(graph, node)
        else:
            found = _scaled_apart(graph, node) if calls[id(node.op)] == 1 else None
        if found is None:
            return None
        expansion, words = found
        path = next((new.path for new in expansion[0] if kind(new.op) == "Concatenate"), node.path)
        notes[path] = kind(node.op), words
        return expansion

    changed = graph.map_nodes(expand)
    if not notes:
        return graph, {}
    kept = changed.without_unread()
    left = set(map(id, kept.nodes))
    for node in changed.nodes:
        if id(node) not in left and node.path not in notes:
            notes[node.path] = kind(node.op), "nothing reads its parts joined there"
    return kept, notes


def _parts(graph: Graph, tensor: keras.KerasTensor) -> tuple[Node, int, list[int]] | None:
    """The concatenation that makes a tensor, its axis, and where its parts begin and end; None for no such."""
    join = graph.producers.get(id(tensor))
    if join is None or join.opaque or kind(join.op) != "Concatenate" or join.kwargs or len(join.args) != 1:
        return None
    axis = join.op.axis % len(tensor.shape)
    parts = list(join.args[0])
    sizes = [part.shape[axis] for part in parts if isinstance(part, keras.KerasTensor)]
    if len(sizes) < len(parts) or None in sizes or axis == 0:
        return None
    return join, axis, [0, *np.cumsum(sizes).tolist()]


def _within(bounds: Sequence[int], start: int, stop: int) -> int | None:
    """The part that a span of the concatenation lies in.

    >>> _within([0, 4, 7], 4, 6), _within([0, 4, 7], 3, 5)
    (1, None)
    """
    spans = enumerate(itertools.pairwise(bounds))
    found = (place for place, (first, last) in spans if first <= start < stop <= last)
    return next(found, None)


def _taken_by_slice(graph: Graph, node: Node) -> tuple[Expansion, str] | None:
    """A slice of one part, of that part; the part itself where it is all of it."""
    joined = _parts(graph, node.inputs[0])
    key = _expanded(node.args[1], len(node.inputs[0].shape)) if joined and len(node.args) == 2 else None
    if joined is None or key is None:
        return None
    join, axis, bounds = joined
    one, size = key[axis], bounds[-1]
    if isinstance(one, int):
        start, stop = one % size, one % size + 1
    elif one.step in (None, 1):
        start, stop, _ = one.indices(size)
    else:
        return None
    place = _within(bounds, start, stop)
    if place is None:
        return None
    part, before = join.inputs[place], bounds[place]
    words = f"reads {_name(graph, part)} alone"
    whole = start == before and stop == bounds[place + 1] and _is_all(key, axis)
    # An output of the model is called after the operation that makes it.
    if whole and isinstance(one, slice) and id(node.output) not in graph.output_ids:
        return ([], part), words
    key[axis] = start - before if isinstance(one, int) else slice(start - before, stop - before)
    reading = Node(node.op, (part, tuple(key)), {}, node.outputs, node.path)
    return ([reading], node.outputs), words


def _expanded(key: Any, rank: int) -> list[Any] | None:
    """A key with an int or a slice for each axis; None for other keys.

    >>> _expanded((..., 3), 3)
    [slice(None, None, None), slice(None, None, None), 3]
    """
    items = list(key) if isinstance(key, tuple) else [key]
    if any(item is not Ellipsis and not isinstance(item, (int, slice)) for item in items):
        return None
    at = next((place for place, item in enumerate(items) if item is Ellipsis), len(items))
    known = items[:at], items[at + 1 :]
    return [*known[0], *[slice(None)] * (rank - len(known[0]) - len(known[1])), *known[1]]


def _is_all(key: Sequence[Any], axis: int) -> bool:
    """Whether a key takes all there is along the other axes."""
    return all(item == slice(None) for place, item in enumerate(key) if place != axis)


def _taken_by_split(graph: Graph, node: Node) -> tuple[Expansion, str] | None:
    """A split whose pieces are the parts."""
    joined = _parts(graph, node.inputs[0])
    pieces = tensors_in(node.outputs)
    if joined is None or any(id(piece) in graph.output_ids for piece in pieces):
        return None
    join, axis, bounds = joined
    ends = np.cumsum([piece.shape[axis] for piece in pieces]).tolist()
    if node.op.axis % len(node.inputs[0].shape) != axis or [0, *ends] != bounds:
        return None
    names = " and ".join(_name(graph, part) for part in join.inputs)
    return ([], list(join.inputs)), f"reads {names}, each alone"


def _scaled_apart(graph: Graph, node: Node) -> tuple[Expansion, str] | None:
    """Scales behind a concatenation, a layer before it for each part."""
    if kind(node.op) not in _SCALES or graph.only_consumer(node.inputs[0]) is not node:
        return None
    joined, affine = _parts(graph, node.inputs[0]), affine_of(node)
    if joined is None or affine is None or joined[1] != len(node.output.shape) - 1:
        return None
    join, _, bounds = joined
    spans = list(itertools.pairwise(bounds))
    factors = [float(np.abs(affine[0][first:last]).max()) for first, last in spans]
    if min(factors) <= 0 or max(factors) < _TIMES * min(factors):
        return None

    def scaled(*parts: Any) -> Any:
        pieces = [
            layers.Rescaling(
                *(each[first:last].tolist() for each in affine),
                name=f"{node.op.name}_{place}",
                dtype=getattr(node.op, "dtype_policy", None),
            )(part)
            for place, (part, (first, last)) in enumerate(zip(parts, spans, strict=True))
        ]
        return layers.Concatenate(name=node.op.name)(pieces)

    together = Node(join.op, join.args, {}, node.outputs, node.path)
    expansion = inline(together, scaled)
    if expansion is None:
        return None
    times = max(factors) / min(factors)
    return expansion, f"scales each part before {join.path!r} joins them: factors differ {times:.0f} times"


def _name(graph: Graph, tensor: keras.KerasTensor) -> str:
    node = graph.producers.get(id(tensor))
    return repr(tensor.name if node is None else node.path)
