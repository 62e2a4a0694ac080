"""What is in a .tflite file, as a table: one row for each operator."""

import dataclasses
import os
from collections import Counter
from collections.abc import Callable

from tfopt._report import Report, Table
from tfopt._text import format_bytes, percent
from tfopt._text_graph import Step, text_graph
from tfopt.runtimes._kernel_values import KernelValues, kernel_values
from tfopt.runtimes._schema import Operator
from tfopt.runtimes._size import measure_size
from tfopt.runtimes._tensors import Tensor
from tfopt.runtimes._tflite_file import TFLiteFile

_Names = Callable[[Operator | None, Tensor], str]


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
        reads: names of the tensors in the file that it reads, without constants; one that others have too with its
            number.
        writes: names of the tensors that it writes.
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
    reads: tuple[str, ...] = ()
    writes: tuple[str, ...] = ()
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
        inputs: names of the tensors that the file is given, as operators read them.
        outputs: names of the tensors that it returns.

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
    inputs: tuple[str, ...] = ()
    outputs: tuple[str, ...] = ()

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
                percent(row.bytes / self.raw_bytes) if self.raw_bytes else "-",
            )
            for row in self.operators
        ]
        columns = ("operator", "output", "dtype", "scale", "bits", "zeros", "bytes", "share")
        bits = ", ".join(f"{size:,} in {bits} bits" for bits, size in self.weight_bits.items())
        notes = (
            f"File: {format_bytes(self.raw_bytes)}, {format_bytes(self.gzip_bytes)} gzipped; bytes and share: of "
            f"constants. Activations: at most {format_bytes(self.peak_activation_bytes)} at once.",
            f"Kernel weights: {bits or 'none'}; {percent(self.sparsity)} zeros.",
            f"Operators: {len(self.operators)}, of which computing in float: {self.float_ops}, QUANTIZE/DEQUANTIZE "
            f"inside: {self.inner_quantize_ops}, Flex or custom: {', '.join(self.custom_ops) or 'none'}.",
        )
        return Table(os.path.basename(self.path), columns, tuple(rows), notes)

    def graph(self, width: int = 80) -> str:
        """The operators as a graph of text, see `tfopt._text_graph`.

        Args:
            width: columns that it may take.
        """
        read = {name for row in self.operators for name in row.reads}
        steps = [Step(name, (), (name,)) for name in self.inputs if name in read]
        for row in self.operators:
            shape = "×".join(map(str, row.shape)) or "scalar"
            weights = "" if row.bits is None else f", {row.bits} bits, {percent(row.sparsity or 0.0)} zeros"
            steps.append(Step(f"{row.op} {shape} {row.dtype}{weights}", row.reads, row.writes))
        return text_graph(steps, self.outputs, width)


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
    names = _names(file)
    return InspectReport(
        path=file.name,
        operators=tuple(_row(file, op, seen, names) for op in file.operators),
        raw_bytes=size.raw,
        gzip_bytes=size.gzip,
        weight_bits=file.weight_bits,
        sparsity=file.sparsity,
        peak_activation_bytes=file.peak_activation_bytes,
        float_ops=len(file.float_ops),
        inner_quantize_ops=len(file.inner_grid_changes),
        custom_ops=tuple(sorted({op.name for op in file.custom_ops})),
        kernels=tuple(map(kernel_values, file.kernels)),
        # In the file itself an input may have another name than in the signature.
        inputs=tuple(names(None, tensor) for tensor in file.inputs),
        outputs=tuple(names(None, tensor) for tensor in file.outputs),
    )


def _names(file: TFLiteFile) -> _Names:
    """A name for each tensor that no other has: those in a file need not be unique."""
    found = {
        (op.subgraph, tensor.index): tensor.name
        for op in file.operators
        for tensor in (*op.inputs, *op.outputs)
        if tensor is not None
    }
    counts = Counter(found.values())

    def name(op: Operator | None, tensor: Tensor) -> str:
        own = found.get((op.subgraph if op else 0, tensor.index), tensor.name)
        if own and counts[own] < 2:
            return own
        return f"{own}#{op.subgraph if op else 0}.{tensor.index}"

    return name


def _row(file: TFLiteFile, op: Operator, seen: set[int], names: _Names) -> OperatorRow:
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
        reads=tuple(names(op, t) for t in op.inputs if t is not None and t.data is None),
        writes=tuple(names(op, t) for t in op.outputs),
        kernels=tuple(kernel.name for kernel in kernels),
    )
