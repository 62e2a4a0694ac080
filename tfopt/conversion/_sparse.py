"""Sparse files: kernels with many zeros in sparse storage, which LiteRT unpacks when it loads them."""

import copy
import dataclasses
from typing import Any

import numpy as np

from tfopt.conversion._flatbuffer import Flatbuffer
from tfopt.runtimes import SparseEncoding, Tensor, TFLiteFile, encode_sparse

# Operators whose kernel LiteRT takes from a DENSIFY, with and without XNNPACK, by the kernel's type. XNNPACK fails to
# prepare a FULLY_CONNECTED of int8 behind one (ai-edge-litert 2.3).
READERS = {
    "float32": ("CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED", "TRANSPOSE_CONV"),
    "int8": ("CONV_2D", "DEPTHWISE_CONV_2D", "TRANSPOSE_CONV"),
}


@dataclasses.dataclass(frozen=True)
class SparseKernel:
    """One row of the report: bytes of a kernel as it is, and in the smallest sparse form; and which one was written.

    Attributes:
        name: the kernel's name in the file.
        dense: bytes without sparse storage.
        sparse: bytes of the smallest sparse form, with the numbers that say where values stand.
        reason: why it is stored densely; empty if it is stored sparsely.

    >>> from tfopt.conversion import SparseKernel
    >>> SparseKernel("conv", dense=4608, sparse=2134).reason
    ''
    """

    name: str
    dense: int
    sparse: int
    reason: str = ""


def sparsify(flatbuffer: Flatbuffer) -> tuple[SparseKernel, ...]:
    """Puts each kernel that is smaller so into sparse storage, with a DENSIFY operator in front of it.

    LiteRT unpacks such a kernel when it loads the file, and computes as before: smaller on disk and in flash, not
    faster, and not smaller in memory.

    Args:
        flatbuffer: the file.

    Returns:
        A row for each kernel.
    """
    file = TFLiteFile.of(flatbuffer.model)
    readers = {k.buffer: {op.name for op in file.operators if k in file.kernels_of(op)} for k in file.kernels}
    places = {tensor.buffer: at for at, tensor in enumerate(flatbuffer.graph.tensors)}
    rows = []
    for kernel in file.kernels:
        if kernel.data is None:
            continue
        encoding = encode_sparse(kernel.data, kernel.bits)
        reason = _reason(kernel, encoding, readers[kernel.buffer])
        if kernel.buffer not in places:
            reason = reason or "in the body of a loop"
        rows.append(SparseKernel(kernel.name, kernel.nbytes, encoding.nbytes, reason))
        if not reason:
            _store(flatbuffer, places[kernel.buffer], encoding)
    return tuple(rows)


def _reason(kernel: Tensor, encoding: SparseEncoding, readers: set[str]) -> str:
    if kernel.is_sparse:
        return "sparse already"
    if any(kernel.zero_points):
        return "its zeros are not stored as 0"
    if not encoding.saving(kernel.nbytes):
        return "sparse storage is not smaller"
    unread = sorted(readers - set(READERS.get(kernel.dtype, ())))
    return f"LiteRT reads no sparse {kernel.dtype} kernel in {unread[0]}" if unread else ""


def _store(file: Flatbuffer, at: int, encoding: SparseEncoding) -> None:
    """Turns tensor `at` into sparse storage, and lets its readers read what a DENSIFY makes of it."""
    schema, graph = file.schema, file.graph
    dense = graph.tensors[at]
    sparse = copy.copy(dense)
    sparse.name = dense.name + b"_sparse"
    sparse.buffer = file.add_buffer(encoding.values.view(np.uint8))
    sparse.sparsity = _parameters(schema, dense.shape, encoding)
    sparse.quantization = None  # a channel's scale and zero point take 12 bytes: once is enough
    dense.buffer = 0
    graph.tensors.append(sparse)
    operator = schema.OperatorT()
    operator.opcodeIndex = _densify(file)
    operator.inputs, operator.outputs = np.array([len(graph.tensors) - 1], "int32"), np.array([at], "int32")
    operator.builtinOptionsType = schema.BuiltinOptions.DensifyOptions
    operator.builtinOptions = schema.DensifyOptionsT()
    graph.operators.insert(0, operator)


def _densify(file: Flatbuffer) -> int:
    """The number of DENSIFY among the file's operators."""
    code, known = file.schema.BuiltinOperator.DENSIFY, file.model.operatorCodes
    found = next((number for number, one in enumerate(known) if one.builtinCode == code), None)
    if found is not None:
        return found
    new = file.schema.OperatorCodeT()
    new.builtinCode = new.deprecatedBuiltinCode = code
    new.version = 1
    known.append(new)
    return len(known) - 1


def _parameters(schema: Any, shape: Any, encoding: SparseEncoding) -> Any:
    found = schema.SparsityParametersT()
    order, block = encoding.order, encoding.block
    levels = [_dense_level(schema, int(shape[axis])) for axis in order[:-1]]
    levels.append(_compressed_level(schema, encoding))
    if block > 1:
        levels.append(_dense_level(schema, block))
        found.blockMap = np.array([order[-1]], "int32")
        order = (*order, len(order))
    found.traversalOrder = np.array(order, "int32")
    found.dimMetadata = levels
    return found


def _dense_level(schema: Any, size: int) -> Any:
    level = schema.DimensionMetadataT()
    level.format, level.denseSize = schema.DimensionType.DENSE, size
    return level


def _compressed_level(schema: Any, encoding: SparseEncoding) -> Any:
    level = schema.DimensionMetadataT()
    level.format = schema.DimensionType.SPARSE_CSR
    for name, numbers in (("arraySegments", encoding.segments), ("arrayIndices", encoding.indices)):
        kind = {"uint8": "Uint8Vector", "uint16": "Uint16Vector", "int32": "Int32Vector"}[str(numbers.dtype)]
        vector = getattr(schema, f"{kind}T")()
        vector.values = numbers
        setattr(level, name, vector)
        setattr(level, f"{name}Type", getattr(schema.SparseIndexVector, kind))
    return level
