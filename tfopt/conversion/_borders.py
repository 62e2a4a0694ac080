"""Borders: what told the converter where float begins and ends leaves the file again."""

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
    if any(isinstance(layer, FloatBoundary) for layer in layers):
        _drop_segment_sums(file)
    if any(isinstance(layer, FloatFence) for layer in layers):
        _drop_casts(file)
        _restore_floats(file, inference)


def _drop_casts(file: Flatbuffer) -> None:
    """Takes out the casts to float64 and back of `FloatFence`."""
    double, graph = file.schema.TensorType.FLOAT64, file.graph
    casts = [op for op in graph.operators if file.name(op) == "CAST"]
    first = {op.outputs[0]: op for op in casts if graph.tensors[op.outputs[0]].type == double}
    file.bypass([*first.values(), *(op for op in casts if op.inputs[0] in first)])


def _drop_segment_sums(file: Flatbuffer) -> None:
    """Takes out the sums over segments of one sample of `FloatBoundary`, and the reshapes to the same shape behind."""
    shape = {at: tuple(tensor.shape) for at, tensor in enumerate(file.graph.tensors)}
    sums = [
        op
        for op in file.graph.operators
        if file.name(op) == "SEGMENT_SUM" and shape[int(op.inputs[0])] == shape[int(op.outputs[0])]
    ]
    written = {int(op.outputs[0]) for op in sums}
    reshapes = [
        op
        for op in file.graph.operators
        if file.name(op) == "RESHAPE"
        and int(op.inputs[0]) in written
        and shape[int(op.inputs[0])] == shape[int(op.outputs[0])]
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
