"""Calibration: the range of each activation, seen on real batches before any training."""

import dataclasses
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import keras
import numpy as np
from keras import ops

from tfopt._on_batch import on_batch
from tfopt._samples import batches
from tfopt.graph import Evaluation, Graph, Node, copy_weights, tensors_in
from tfopt.quantization.calibration._ranges import BINS, METHODS


class _Tap(keras.layers.Layer):
    """A statistic of a tensor; a mask on it ends here, for padded places are computed and rounded too."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.supports_masking = True

    def compute_mask(self, inputs: Any, previous_mask: Any) -> None:
        return None


class _Extremes(_Tap):
    """The smallest and the largest number of a batch, shape (2,)."""

    def call(self, x: Any) -> Any:
        x = ops.cast(x, "float32")
        return ops.stack([ops.min(x), ops.max(x)])

    def compute_output_spec(self, x: keras.KerasTensor) -> keras.KerasTensor:
        return keras.KerasTensor((2,), "float32")


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
    method: str = "minmax",
) -> tuple[np.ndarray, int]:
    """The range of each tensor over all calibration batches, computed in float.

    The statistics are made inside the model, so that only two numbers a tensor and batch leave it, or a histogram.

    Args:
        graph: the float graph that holds the tensors.
        tensors: which of its tensors to observe.
        calibration: samples, as `tfopt._samples.batches` takes them.
        replace: `(layer, name) -> layer`, what is observed in place of a layer of the graph: another one, not built
            yet, or itself.
        method: `"minmax"`, or a name in `tfopt.quantization.calibration._ranges.METHODS`.

    Returns:
        float32 array of shape (number of tensors, 2): the ends of each range; and the number of batches.

    Raises:
        ValueError: the samples are empty, not finite, or of the wrong shape.
    """
    taps = [_Extremes(name=f"extremes_{index}") for index in range(len(tensors))]
    observed = on_batch(_tapped(graph, tensors, taps, replace))
    found = _checked(calibration, tensors_in(graph.inputs))
    # A histogram takes a second look at the samples, which a generator gives once.
    samples = found if method == "minmax" else list(found)
    ranges = np.stack([np.full(len(tensors), np.inf), np.full(len(tensors), -np.inf)], axis=1)
    count = 0
    for batch in samples:
        count += 1
        seen = np.stack(observed(batch))
        ranges[:, 0] = np.minimum(ranges[:, 0], seen[:, 0])
        ranges[:, 1] = np.maximum(ranges[:, 1], seen[:, 1])
    if method != "minmax":
        ranges = _chosen(graph, tensors, samples, replace, method, ranges)
    return ranges.astype("float32"), count


def _chosen(
    graph: Graph,
    tensors: Sequence[keras.KerasTensor],
    samples: Iterable[Any],
    replace: Callable[[keras.Operation, str], keras.Operation],
    method: str,
    ranges: np.ndarray,
) -> np.ndarray:
    """Ranges chosen from histograms over the ranges seen."""
    limits = [(lo, hi) if hi > lo else (lo, lo + 1.0) for lo, hi in ranges.tolist()]
    taps = [_Histogram(pair, name=f"histogram_{index}") for index, pair in enumerate(limits)]
    counted = on_batch(_tapped(graph, tensors, taps, replace))
    counts = np.zeros((len(tensors), BINS), "int64")
    for batch in samples:
        counts += np.stack(counted(batch))
    edges = [np.linspace(lo, hi, BINS + 1) for lo, hi in limits]
    return np.array([METHODS[method](one, at) for one, at in zip(counts, edges, strict=True)])


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


def _checked(calibration: Any, inputs: Sequence[keras.KerasTensor]) -> Iterator[Any]:
    for batch, _ in batches(calibration, len(inputs), "calibration"):
        _check_shapes(batch, inputs)
        yield batch


def _check_shapes(batch: Any, inputs: Sequence[keras.KerasTensor]) -> None:
    expected = [tuple(tensor.shape) for tensor in inputs]
    shapes = [array.shape for array in keras.tree.flatten(batch)]
    fits = len(shapes) == len(expected) and all(
        len(shape) == len(want) and all(w in (None, s) for s, w in zip(shape[1:], want[1:], strict=True))
        for shape, want in zip(shapes, expected, strict=True)
    )
    if not fits:
        raise ValueError(
            f"The 'calibration' argument must hold inputs of shape {' and '.join(map(str, expected))}, samples first. "
            f"Got {' and '.join(map(str, shapes))} instead. One sample needs a batch axis too: samples[None]."
        )
