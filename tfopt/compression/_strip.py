"""What TFLite Micro does not read of a file, taken out."""

from typing import Any

import numpy as np

from tfopt.conversion import OPERANDS, Flatbuffer
from tfopt.runtimes import TFLiteFile

# What the file's metadata keeps: the target that tfopt wrote it for.
KEPT_METADATA = (b"tfopt.target",)


def strip(file: Flatbuffer) -> None:
    """Takes out names, signatures, descriptions, open dimensions, ranges, and the parts that nothing refers to.

    Inputs and outputs keep the names that the signature gives them, as the names of their tensors. The grid of a bias
    shrinks to its first channel, and zero points that are all the same to one: TFLite Micro reads no more of them
    (`micro_allocator.cc`: "As a space-saving optimization, zero point arrays for weights can be reduced to a single
    value").

    Args:
        file: the file.
    """
    model = file.model
    biases = _biases(file)
    ends = TFLiteFile.of(model)
    names = {tensor.index: tensor.name for tensor in (*reversed(ends.outputs), *ends.inputs)}
    for number, graph in enumerate(model.subgraphs):
        graph.name = None
        for index, tensor in enumerate(graph.tensors):
            tensor.name = names[index].encode() if number == 0 and index in names else None
            tensor.shapeSignature = None
            tensor.quantization = _grid(tensor.quantization, number == 0 and index in biases)
        for op in graph.operators:
            op.mutatingVariableInputs = None
            if op.intermediates is not None and not len(op.intermediates):
                op.intermediates = None
    model.description = model.signatureDefs = None
    model.metadata = [entry for entry in model.metadata or () if entry.name in KEPT_METADATA] or None
    file.changed = True


def renumber(file: Flatbuffer) -> None:
    """Takes out the buffers that nothing refers to; number 0 stays the empty buffer."""
    model = file.model
    places: dict[int, int] = {}
    kept = [model.buffers[0]]
    kept[0].data = None
    for holder in (*(t for graph in model.subgraphs for t in graph.tensors), *(model.metadata or ())):
        buffer = model.buffers[holder.buffer]
        if buffer.data is None or not len(buffer.data):
            holder.buffer = 0
            continue
        if holder.buffer not in places:
            kept.append(buffer)
            places[holder.buffer] = len(kept) - 1
        holder.buffer = places[holder.buffer]
    model.buffers = kept
    model.metadataBuffer = None
    file.changed = True


def _grid(grid: Any, is_bias: bool) -> Any:
    if grid is None or grid.scale is None or not len(grid.scale):
        return None
    grid.min = grid.max = None
    if is_bias:
        grid.scale = grid.scale[:1]
    if grid.zeroPoint is not None and len(set(grid.zeroPoint.tolist())) == 1:
        grid.zeroPoint = grid.zeroPoint[:1]
    if len(grid.scale) == 1:
        grid.quantizedDimension = 0
    return grid


def _biases(file: Flatbuffer) -> set[int]:
    """The constants of the network that operators add as a bias, and nothing reads otherwise."""
    biases: set[int] = set()
    others: set[int] = set(np.asarray(file.graph.outputs).tolist())
    for op in file.graph.operators:
        position = OPERANDS.get(file.name(op), (-1,))[-1]
        for at, tensor in enumerate(np.asarray(op.inputs).tolist()):
            (biases if at == position else others).add(tensor)
    return biases - others
