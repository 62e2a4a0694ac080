"""Calibration: the range of each activation, seen on real batches before any training."""

from collections.abc import Callable, Sequence
from typing import Any

import keras
import numpy as np
from keras import ops

from tfopt._samples import batches
from tfopt.graph import Graph, Node, build_model


class _Extremes(keras.layers.Layer):
    """The smallest and the largest number of a batch, shape (2,)."""

    def call(self, x: Any) -> Any:
        x = ops.cast(x, "float32")
        return ops.stack([ops.min(x), ops.max(x)])

    def compute_output_spec(self, x: keras.KerasTensor) -> keras.KerasTensor:
        return keras.KerasTensor((2,), "float32")


def observe_ranges(
    graph: Graph,
    tensors: Sequence[keras.KerasTensor],
    calibration: Any,
    replace: Callable[[keras.Operation, str], keras.Operation],
) -> np.ndarray:
    """The range of each tensor over all calibration batches, computed in float.

    The statistics are made inside the model, so that only two numbers a tensor and batch leave it.

    Args:
        graph: the float graph that holds the tensors.
        tensors: which of its tensors to observe.
        calibration: samples, as `tfopt._samples.batches` takes them.
        replace: makes the layers of the observed copy, as for `build_model`.

    Returns:
        float32 array of shape (number of tensors, 2): smallest and largest value.

    Raises:
        ValueError: the samples are empty, not finite, or of the wrong shape.
    """
    taps = [
        Node(_Extremes(name=f"extremes_{index}"), (tensor,), {}, keras.KerasTensor((2,), "float32"), "")
        for index, tensor in enumerate(tensors)
    ]
    observed = Graph(graph.name, graph.inputs, (*graph.nodes, *taps), [tap.output for tap in taps])
    model = build_model(observed, lambda op, name: op if isinstance(op, _Extremes) else replace(op, name))
    ranges = np.stack([np.full(len(tensors), np.inf), np.full(len(tensors), -np.inf)], axis=1)
    for batch, _ in batches(calibration, len(model.inputs), "calibration"):
        _check_shapes(batch, model)
        seen = np.stack([np.asarray(pair) for pair in model.predict_on_batch(batch)])
        ranges[:, 0] = np.minimum(ranges[:, 0], seen[:, 0])
        ranges[:, 1] = np.maximum(ranges[:, 1], seen[:, 1])
    return ranges.astype("float32")


def _check_shapes(batch: Any, model: keras.Model) -> None:
    expected = [tuple(tensor.shape) for tensor in model.inputs]
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
