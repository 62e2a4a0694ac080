"""What is in a .tflite file, as a table: one row for each operator."""

import dataclasses
import os

from tfopt._report import Report, Table
from tfopt._text import format_bytes, percent
from tfopt.runtimes._kernel_values import KernelValues, kernel_values
from tfopt.runtimes._schema import Operator
from tfopt.runtimes._size import measure_size
from tfopt.runtimes._tflite_file import TFLiteFile


@dataclasses.dataclass(frozen=True)
class OperatorRow:
    """One operator of a file.

    Args:
        op: name, with the activation fused into it: `"CONV_2D+RELU"`.
        shape: shape of its first output.
        dtype: type of its first output.
        scale: scale of its first output; None if that is not quantized.
        bits: bits of its kernel's values; None without a kernel.
        sparsity: zeros as a fraction of its kernel's values; None without a kernel.
        bytes: bytes of all its constants: kernel, bias and parameters. Shared ones count in the first row.
        output: name of its first output in the file.
        inputs: names of the tensors that it reads, without constants.
        kernels: names of its kernels, as in `InspectReport.kernels`.

    Example:

    >>> OperatorRow("ADD", (1, 8), "int8", 0.5, None, None, 0).op
    'ADD'
    """

    op: str
    shape: tuple[int, ...]
    dtype: str
    scale: float | None
    bits: int | None
    sparsity: float | None
    bytes: int
    output: str = ""
    inputs: tuple[str, ...] = ()
    kernels: tuple[str, ...] = ()


@dataclasses.dataclass(frozen=True)
class InspectReport(Report):
    """What `inspect` found; prints as a table.

    Args:
        path: the file.
        operators: one row for each operator, in the order in which they run.
        raw_bytes: size of the file.
        gzip_bytes: size after gzip.
        weight_bits: number of kernel values by their bits.
        sparsity: zeros as a fraction of all kernel values.
        peak_activation_bytes: bytes of activations alive at once, at the file's batch size.
        float_ops: how many operators compute on floats.
        inner_quantize_ops: QUANTIZE and DEQUANTIZE operators that are not at an input or output.
        custom_ops: operators that LiteRT has no kernel for.
        kernels: every weight kernel, with a histogram of its values.

    Example: see `inspect`.
    """

    path: str
    operators: tuple[OperatorRow, ...]
    raw_bytes: int
    gzip_bytes: int
    weight_bits: dict[int, int]
    sparsity: float
    peak_activation_bytes: int
    float_ops: int
    inner_quantize_ops: int
    custom_ops: tuple[str, ...]
    kernels: tuple[KernelValues, ...] = ()

    def table(self) -> Table:
        """One row for each operator; totals in the notes."""
        rows = [
            (
                row.op,
                "×".join(map(str, row.shape)) or "scalar",
                row.dtype,
                "-" if row.scale is None else f"{row.scale:.4g}",
                "-" if row.bits is None else str(row.bits),
                "-" if row.sparsity is None else percent(row.sparsity),
                format_bytes(row.bytes),
            )
            for row in self.operators
        ]
        columns = ("operator", "output", "dtype", "scale", "bits", "zeros", "constants")
        bits = ", ".join(f"{size:,} in {bits} bits" for bits, size in self.weight_bits.items())
        notes = (
            f"File: {format_bytes(self.raw_bytes)}, {format_bytes(self.gzip_bytes)} gzipped. "
            f"Activations: at most {format_bytes(self.peak_activation_bytes)} at once.",
            f"Kernel weights: {bits or 'none'}; {percent(self.sparsity)} zeros.",
            f"Operators: {len(self.operators)}, of which computing in float: {self.float_ops}, QUANTIZE/DEQUANTIZE "
            f"inside: {self.inner_quantize_ops}, Flex or custom: {', '.join(self.custom_ops) or 'none'}.",
        )
        return Table(os.path.basename(self.path), columns, tuple(rows), notes)


def inspect(path: str | os.PathLike | bytes) -> InspectReport:
    """Lists the operators of a .tflite file with their types, scales, weight bits, sparsity and bytes.

    Use it to see which operators hold the bytes of a file and whether every layer became an integer operator. The file
    is not run.

    Args:
        path: the .tflite file, or its bytes.

    Returns:
        An `InspectReport`.

    Raises:
        ValueError: the path is missing or not a .tflite file.

    Example:

    >>> import keras, tempfile
    >>> model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(3, use_bias=False)])
    >>> path = os.path.join(tempfile.mkdtemp(), "model.tflite")
    >>> model.export(path, format="litert", verbose=False)
    >>> inspect(path).operators[0].op, inspect(path).operators[0].bytes
    ('FULLY_CONNECTED', 48)
    """
    file = TFLiteFile.read(path)
    size = measure_size(file.content)
    seen: set[int] = set()
    return InspectReport(
        path=file.name,
        operators=tuple(_row(file, op, seen) for op in file.operators),
        raw_bytes=size.raw,
        gzip_bytes=size.gzip,
        weight_bits=file.weight_bits,
        sparsity=file.sparsity,
        peak_activation_bytes=file.peak_activation_bytes,
        float_ops=len(file.float_ops),
        inner_quantize_ops=len(file.inner_grid_changes),
        custom_ops=tuple(sorted({op.name for op in file.custom_ops})),
        kernels=tuple(map(kernel_values, file.kernels)),
    )


def _row(file: TFLiteFile, op: Operator, seen: set[int]) -> OperatorRow:
    kernels = file.kernels_of(op)
    constants = {
        t.buffer: t.nbytes for t in op.inputs if t is not None and t.data is not None and t.buffer not in seen
    }
    seen.update(constants)
    output = op.outputs[0] if op.outputs else None
    values = sum(kernel.size for kernel in kernels)
    return OperatorRow(
        op=f"{op.name}+{op.activation}" if op.activation else op.name,
        shape=output.shape if output else (),
        dtype=output.dtype if output else "-",
        scale=output.scale if output else None,
        bits=kernels[0].bits if kernels else None,
        sparsity=sum(kernel.zeros for kernel in kernels) / values if kernels else None,
        bytes=sum(constants.values()),
        output=output.name if output else "",
        inputs=tuple(t.name for t in op.inputs if t is not None and t.data is None),
        kernels=tuple(kernel.name for kernel in kernels),
    )
