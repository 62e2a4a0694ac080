"""Borders: what told the converter where float begins and ends leaves the file again."""

import re
from collections.abc import Sequence

import keras
import numpy as np

from tfopt.conversion._file_layout import kernel_as_stored
from tfopt.conversion._flatbuffer import Flatbuffer
from tfopt.graph import flatten_layers, kind
from tfopt.kernels import FloatBoundary, FloatFence


def drop_borders(file: Flatbuffer, inference: keras.Model) -> None:
    """Takes out the operators that `FloatFence` and `FloatBoundary` became: no number changes.

    Runtimes for microcontrollers have no kernels for them.

    Args:
        file: what the converter returned.
        inference: the model that was converted.
    """
    layers = flatten_layers(inference)
    boundaries = [layer.name for layer in layers if isinstance(layer, FloatBoundary)]
    if boundaries:
        _drop_segment_sums(file, boundaries)
    if any(isinstance(layer, FloatFence) for layer in layers):
        _drop_casts(file)
        _restore_floats(file, inference)


def _drop_casts(file: Flatbuffer) -> None:
    """Takes out the casts to float64 and back of `FloatFence`."""
    double, graph = file.schema.TensorType.FLOAT64, file.graph
    casts = [op for op in graph.operators if file.name(op) == "CAST"]
    first = {op.outputs[0]: op for op in casts if graph.tensors[op.outputs[0]].type == double}
    file.bypass([*first.values(), *(op for op in casts if op.inputs[0] in first)])


def _drop_segment_sums(file: Flatbuffer, names: Sequence[str]) -> None:
    """Takes out the sums over segments of one sample of `FloatBoundary`, and the reshapes to the same shape behind.

    They are known by the layer's name: the converter does not find how many segments there are where the samples are
    not the first axis.
    """
    ours = re.compile(rf"/({'|'.join(map(re.escape, names))})(_\d+)?/SegmentSum")
    tensors = file.graph.tensors
    before = {
        int(op.outputs[0]): int(op.inputs[0])
        for op in file.graph.operators
        if file.name(op) == "SEGMENT_SUM" and ours.search(tensors[op.outputs[0]].name.decode())
    }
    sums = [op for op in file.graph.operators if int(op.outputs[0]) in before]
    reshapes = [
        op
        for op in file.graph.operators
        if file.name(op) == "RESHAPE"
        and int(op.inputs[0]) in before
        and tuple(tensors[before[int(op.inputs[0])]].shape) == tuple(tensors[op.outputs[0]].shape)
    ]
    file.bypass([*sums, *reshapes])


def _restore_floats(file: Flatbuffer, inference: keras.Model) -> None:
    """Gives transposed convolutions that stay float their kernels back: the converter stores them in 8 bits."""
    kernels = [
        np.asarray(layer.kernel) for layer in flatten_layers(inference) if kind(layer) == "Conv2DTranspose"
    ]
    for op in file.kernel_operators():
        data, weights = op.operand(0), op.operand(1)
        if op.name != "TRANSPOSE_CONV" or data is None or data.scales.size or weights is None:
            continue
        codes = weights.codes()
        if codes is None:
            continue
        found = (kernel_as_stored(kernel, op.name, codes, weights.scales) for kernel in kernels)
        moved = next((one for one in found if one is not None), None)
        if moved is not None:
            weights.set_float(moved)
