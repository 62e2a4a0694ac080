"""Calibration: the range of each activation, seen on real batches before any training."""

import dataclasses
import functools
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import keras
import numpy as np
from keras import ops

from tfopt._on_batch import on_batch
from tfopt._progress import progress
from tfopt._samples import batches
from tfopt.graph import Evaluation, Graph, Node, copy_weights, tensors_in
from tfopt.quantization.calibration._observed import InputStatistics, Observed
from tfopt.quantization.calibration._ranges import BINS

# From the counts and the edges of a histogram to the ends of a range.
Chooser = Callable[[np.ndarray, np.ndarray], tuple[float, float]]


class _Tap(keras.layers.Layer):
    """A statistic of a tensor; a mask on it ends here, for padded places are computed and rounded too."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.supports_masking = True

    def compute_mask(self, inputs: Any, previous_mask: Any) -> None:
        return None


class _Moments(_Tap):
    """The smallest and the largest number of a batch, and the mean of their squares, shape (3,)."""

    def call(self, x: Any) -> Any:
        x = ops.cast(x, "float32")
        return ops.stack([ops.min(x), ops.max(x), ops.mean(ops.square(x))])

    def compute_output_spec(self, x: keras.KerasTensor) -> keras.KerasTensor:
        return keras.KerasTensor((3,), "float32")


class _Histogram(_Tap):
    """How many numbers of a batch fall into each of equal bins over a range, shape (bins,)."""

    def __init__(self, limits: tuple[float, float], **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.limits = limits

    def call(self, x: Any) -> Any:
        lo, hi = self.limits
        places = ops.floor((ops.cast(ops.reshape(x, (-1,)), "float32") - lo) * (BINS / (hi - lo)))
        return ops.bincount(ops.cast(ops.clip(places, 0, BINS - 1), "int32"), minlength=BINS)

    def compute_output_spec(self, x: keras.KerasTensor) -> keras.KerasTensor:
        return keras.KerasTensor((BINS,), "int32")


def observe_ranges(
    graph: Graph,
    tensors: Sequence[keras.KerasTensor],
    calibration: Any,
    replace: Callable[[keras.Operation, str], keras.Operation],
    choose: Chooser | None = None,
) -> Observed:
    """The range of each tensor over all calibration batches, computed in float.

    The statistics are made inside the model, so that only three numbers a tensor and batch leave it, or a histogram.

    Args:
        graph: the float graph that holds the tensors.
        tensors: which of its tensors to observe.
        calibration: samples, as `tfopt._samples.batches` takes them.
        replace: `(layer, name) -> layer`, what is observed in place of a layer of the graph: another one, not built
            yet, or itself.
        choose: chooses a range from a histogram, as `percentile_range` does; None for all that was seen.

    Returns:
        The ends of each range, and what else was seen.

    Raises:
        ValueError: the samples are empty, not finite, or of the wrong shape.
    """
    taps = [_Moments(name=f"moments_{index}") for index in range(len(tensors))]
    observed = on_batch(_tapped(graph, tensors, taps, replace))
    read = functools.partial(_checked, calibration, tensors_in(graph.inputs))
    if choose is not None and isinstance(calibration, Iterator):
        # A histogram takes a second look at the samples, which a generator gives once. What can be read again is.
        kept = list(read())
        read = functools.partial(iter, kept)
    ranges = np.stack([np.full(len(tensors), np.inf), np.full(len(tensors), -np.inf)], axis=1)
    squares, inputs, count = np.zeros(len(tensors)), InputStatistics(), 0
    # How many samples there are is known of an array alone.
    with progress("Calibrating", getattr(calibration, "shape", (None,))[0]) as advance:
        for batch in read():
            count += 1
            seen = np.stack(observed(batch))
            ranges[:, 0] = np.minimum(ranges[:, 0], seen[:, 0])
            ranges[:, 1] = np.maximum(ranges[:, 1], seen[:, 1])
            squares += seen[:, 2]
            inputs.update(batch)
            advance(len(batch[0]))
    if choose is not None:
        ranges = _chosen(graph, tensors, read(), replace, choose, ranges)
    return Observed(ranges.astype("float32"), squares / max(count, 1), count, inputs.seen())


def _chosen(
    graph: Graph,
    tensors: Sequence[keras.KerasTensor],
    samples: Iterator[list[np.ndarray]],
    replace: Callable[[keras.Operation, str], keras.Operation],
    choose: Chooser,
    ranges: np.ndarray,
) -> np.ndarray:
    """Ranges chosen from histograms over the ranges seen."""
    limits = [(lo, hi) if hi > lo else (lo, lo + 1.0) for lo, hi in ranges.tolist()]
    taps = [_Histogram(pair, name=f"histogram_{index}") for index, pair in enumerate(limits)]
    counted = on_batch(_tapped(graph, tensors, taps, replace))
    counts = np.zeros((len(tensors), BINS), "int64")
    with progress("Choosing ranges", None) as advance:
        for batch in samples:
            counts += np.stack(counted(batch))
            advance(1)
    edges = [np.linspace(lo, hi, BINS + 1) for lo, hi in limits]
    return np.array([choose(one, at) for one, at in zip(counts, edges, strict=True)])


def _tapped(
    graph: Graph,
    tensors: Sequence[keras.KerasTensor],
    taps: Sequence[keras.layers.Layer],
    replace: Callable[[keras.Operation, str], keras.Operation],
) -> keras.Model:
    """The float graph as a model whose outputs are statistics of the tensors."""
    nodes = [
        Node(tap, (tensor,), {}, tap.compute_output_spec(tensor), "")
        for tap, tensor in zip(taps, tensors, strict=True)
    ]
    outputs = [node.output for node in nodes]
    return Evaluation(dataclasses.replace(graph, nodes=(*_observed(graph, replace), *nodes), outputs=outputs))


def _observed(graph: Graph, replace: Callable[[keras.Operation, str], keras.Operation]) -> Iterator[Node]:
    """The nodes with those layers replaced that calibration must see otherwise."""
    made: dict[int, keras.Operation] = {}
    for node in graph.nodes:
        if id(node.op) not in made:
            made[id(node.op)] = new = replace(node.op, node.op.name)
            if new is not node.op:
                new(*node.args, **node.kwargs)  # builds it
                copy_weights(node.op, new)
        yield dataclasses.replace(node, op=made[id(node.op)])


# Samples of a batch: a generator of single ones, as TFLite's converter takes, would cost a call for each.
_BATCH = 32


def _checked(calibration: Any, inputs: Sequence[keras.KerasTensor]) -> Iterator[list[np.ndarray]]:
    """The batches, small ones put together where their shapes agree."""
    held: list[list[np.ndarray]] = []
    for batch, _ in batches(calibration, inputs, "calibration"):
        arrays = _in_order(batch, inputs)
        if held and (
            sum(len(one[0]) for one in held) + len(arrays[0]) > _BATCH or not _alike(held[0], arrays)
        ):
            yield _together(held)
            held = []
        held.append(arrays)
    yield _together(held)


def _alike(left: list[np.ndarray], right: list[np.ndarray]) -> bool:
    return all(a.shape[1:] == b.shape[1:] for a, b in zip(left, right, strict=True))


def _together(held: list[list[np.ndarray]]) -> list[np.ndarray]:
    return [np.concatenate(parts) if len(parts) > 1 else parts[0] for parts in zip(*held, strict=True)]


def _in_order(batch: Any, inputs: Sequence[keras.KerasTensor]) -> list[np.ndarray]:
    """The arrays in the order of the model's inputs, if their shapes fit."""
    is_dict = isinstance(batch, dict)
    arrays = [batch[tensor.name] for tensor in inputs] if is_dict else keras.tree.flatten(batch)
    expected = [tuple(tensor.shape) for tensor in inputs]
    shapes = [array.shape for array in arrays]
    fits = len(shapes) == len(expected) and all(
        len(shape) == len(want) and all(w in (None, s) for s, w in zip(shape[1:], want[1:], strict=True))
        for shape, want in zip(shapes, expected, strict=True)
    )
    if not fits:
        raise ValueError(
            f"The 'calibration' argument must hold inputs of shape {' and '.join(map(str, expected))}, samples first. "
            f"Got {' and '.join(map(str, shapes))} instead. One sample needs a batch axis too: samples[None]."
        )
    return arrays
