"""Which kernels of a file are compressed, into which form, and why the others are not."""

import dataclasses
from collections.abc import Mapping
from types import MappingProxyType

from tfopt.coding import Codes, Encoded, entropy_bytes, smallest_form
from tfopt.kernels import Target
from tfopt.runtimes import Operator, Tensor, TFLiteFile

# Bytes that an operator, two tensors, their buffers and the gaps between them take in a file.
OVERHEAD = 150

# Types that the decoder writes.
TYPES = ("bool", "float32", "int8", "int16", "int32", "int64")


@dataclasses.dataclass(frozen=True)
class CompressedKernel:
    """One row of the report: a kernel, and what became of it.

    Attributes:
        name: the kernel's name in the file.
        before: bytes as it was.
        after: bytes now, with the tables of its form; as before if it is left alone.
        entropy: the entropy bound of its values, in bytes; see `tfopt.coding.entropy_bytes`.
        form: `"prune"`, `"Huffman"`, `"lookup table"` or `"lookup tables"`, one for each channel; empty if it is left
            alone.
        reason: why it is left alone; empty if it is not.

    >>> from tfopt.compression import CompressedKernel
    >>> CompressedKernel("conv", 4608, 2134, 1700, "Huffman").reason
    ''
    """

    name: str
    before: int
    after: int
    entropy: int
    form: str = ""
    reason: str = ""


def left_alone(
    row: CompressedKernel, reason: str = "no form of it is smaller, with its decoder"
) -> CompressedKernel:
    """The row of the kernel as it was."""
    return dataclasses.replace(row, after=row.before, form="", reason=row.reason or reason)


def compress_kernels(
    file: TFLiteFile, target: Target, alone: Mapping[int, str] = MappingProxyType({})
) -> tuple[tuple[CompressedKernel, ...], dict[int, Encoded]]:
    """The rows of the report, and the compressed kernels by the number of their tensor in the network.

    Args:
        file: the file.
        target: the target whose runtime decodes them.
        alone: why kernels stay as they are, by the number of their row.
    """
    rows: list[CompressedKernel] = []
    found: dict[int, Encoded] = {}
    for kernel in file.kernels:
        codes = _codes(kernel)
        if codes is None:
            continue
        reads = _reads(file, kernel)
        reason = alone.get(len(rows)) or _reason(file, kernel, reads, target)
        encoded = None if reason else smallest_form(codes)
        cost = OVERHEAD * len({id(op) for op, _ in reads})
        row = CompressedKernel(
            kernel.name, kernel.nbytes, kernel.nbytes, entropy_bytes(codes.values), reason=reason
        )
        if encoded is None or encoded.nbytes + cost >= kernel.nbytes:
            rows.append(left_alone(row))
            continue
        rows.append(dataclasses.replace(row, after=encoded.nbytes, form=encoded.form))
        found |= {tensor.index: encoded for _, tensor in reads}
    return tuple(rows), found


def _codes(kernel: Tensor) -> Codes | None:
    """The kernel's values and grid; None without values."""
    zero_points = set(kernel.zero_points) or {0}
    if kernel.data is None:
        return None
    axis = kernel.axis if len(kernel.scales) > 1 else None
    return Codes(kernel.data, axis, zero_points.pop() if len(zero_points) == 1 else None)


def _reads(file: TFLiteFile, kernel: Tensor) -> list[tuple[Operator, Tensor]]:
    """The operators that read the kernel's bytes, and the tensor by which each does."""
    return [
        (op, tensor)
        for op in file.operators
        for tensor in op.inputs
        if tensor is not None and tensor.data is not None and tensor.buffer == kernel.buffer
    ]


def _reason(file: TFLiteFile, kernel: Tensor, reads: list[tuple[Operator, Tensor]], target: Target) -> str:
    """Why the kernel must stay as it is; empty if it need not."""
    if kernel.dtype not in TYPES or kernel.is_sparse:
        return f"the decoder writes no {'sparse' if kernel.is_sparse else kernel.dtype} kernel"
    readers = [op for op, _ in reads]
    if any(op.subgraph for op in readers):
        return "in the body of a loop"
    early = sorted({op.name for op in readers} & set(target.constant_weights))
    if early:
        return f"{early[0]} reads it when it is prepared, before it is decoded"
    others = [op.name for op in readers if all(k.buffer != kernel.buffer for k in file.kernels_of(op))]
    if others:
        return f"{others[0]} reads it, which takes constants"
    if len({(tensor.scales, tensor.zero_points, tensor.axis) for _, tensor in reads}) > 1:
        return "operators read it on different grids"
    return ""
