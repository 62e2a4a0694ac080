"""What `export` returns."""

import dataclasses

from tfopt._report import Report, Table
from tfopt._text import format_bytes, names_with_counts, percent
from tfopt.conversion._sparse import SparseKernel
from tfopt.conversion._storage import StoredWeights
from tfopt.runtimes import Size, Tensor

_STATE = (
    "Its LSTM keeps its state from one call to the next: reset it before each sequence, with LiteRT's "
    "reset_all_variables() or TFLite Micro's Reset(). tfopt.runtimes and tfopt.verify do."
)


@dataclasses.dataclass(frozen=True)
class ExportReport(Report):
    """What a written .tflite file holds.

    Attributes:
        path: the file.
        size: bytes, raw and gzipped.
        sparse_bytes: bytes the file would have with every kernel in sparse storage that gets smaller so, whether or not
            LiteRT reads it; what `sparse=True` has stored so is in `size`.
        sparse_kernels: with `sparse=True` a row for each kernel: its bytes, and why it is stored densely if it is.
        operators: how often each TFLite operator occurs.
        float_operators: operators that compute in float in a file that was asked to be int8.
        grid_changes: number of QUANTIZE and DEQUANTIZE operators inside the network.
        weight_bits: number of weights stored in each bit width.
        sparsity: zeros as a fraction of all kernel weights.
        inputs: dtype of each input.
        outputs: dtype of each output.
        input_names: name of each input, that of the model.
        output_names: name of each output: its key where the model returns a dict, else the layer that makes it.
        input_shapes: shape of each input; -1 for a dimension that is open.
        output_shapes: shape of each output, likewise.
        stored: how kernels are stored that were trained on another grid than 8 bits per channel.
        compression: with `compress=True` what became of the kernels, a `tfopt.compression.CompressionReport`.
        has_state: whether an operator keeps something from one call to the next, as an LSTM does its state.

    Example:

    >>> import keras, os, tempfile, tfopt
    >>> model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(2)])
    >>> report = tfopt.export(model, os.path.join(tempfile.mkdtemp(), "model.tflite"))
    >>> report.operators, report.weight_bits
    ({'FULLY_CONNECTED': 1}, {32: 8})
    """

    path: str
    size: Size
    sparse_bytes: int
    operators: dict[str, int]
    float_operators: dict[str, int]
    grid_changes: int
    weight_bits: dict[int, int]
    sparsity: float
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    input_names: tuple[str, ...] = ()
    output_names: tuple[str, ...] = ()
    input_shapes: tuple[tuple[int, ...], ...] = ()
    output_shapes: tuple[tuple[int, ...], ...] = ()
    stored: tuple[StoredWeights, ...] = ()
    sparse_kernels: tuple[SparseKernel, ...] = ()
    compression: Report | None = None
    has_state: bool = False

    def table(self) -> Table:
        bits = ", ".join(f"{count:,} of {bits} bits" for bits, count in self.weight_bits.items())
        rows = (
            ("size", f"{format_bytes(self.size.raw)} ({format_bytes(self.size.gzip)} gzipped)"),
            ("with all zeros left out", f"{format_bytes(self.sparse_bytes)} (sparse storage)"),
            ("inputs", _described(self.input_names, self.inputs, self.input_shapes)),
            ("outputs", _described(self.output_names, self.outputs, self.output_shapes)),
            ("operators", names_with_counts(self.operators)),
            ("of them in float", names_with_counts(self.float_operators)),
            ("QUANTIZE/DEQUANTIZE inside", str(self.grid_changes)),
            ("kernel weights", bits or "none"),
            ("of them zero", percent(self.sparsity)),
        )
        return Table(f"Exported {self.path}", ("what", "value"), rows, self._notes())

    def __str__(self) -> str:
        parts = (str(self.table()), *([str(self.compression)] if self.compression is not None else []))
        return "\n\n".join(parts)

    def to_markdown(self) -> str:
        """The table in Markdown, and that of compressed kernels."""
        return "\n".join(
            [self.table().to_markdown(), *([self.compression.to_markdown()] if self.compression else [])]
        )

    def _notes(self) -> tuple[str, ...]:
        state = (_STATE,) if self.has_state else ()
        notes = (*self._open_dimensions(), *state, *(stored.note for stored in self.stored if stored.note))
        if not self.sparse_kernels:
            return notes
        dense = [kernel for kernel in self.sparse_kernels if kernel.reason]
        count = f"{len(self.sparse_kernels) - len(dense)} of {len(self.sparse_kernels)}"
        reasons = (f"{kernel.name} is stored densely: {kernel.reason}." for kernel in dense)
        return (*notes, f"{count} kernels are in sparse storage.", *reasons)

    def _open_dimensions(self) -> tuple[str, ...]:
        open_inputs = [
            name for name, shape in zip(self.input_names, self.input_shapes, strict=True) if -1 in shape
        ]
        if not open_inputs:
            return ()
        note = (
            f"Open dimensions (?) in {', '.join(open_inputs)}: who runs the file resizes them first. Microcontrollers "
            "cannot; 'batch_size' and 'shapes' fix them."
        )
        computed = (
            "LiteRT rounds otherwise behind a size that is computed as the file runs: fix it for equal bits."
        )
        return (note, computed) if "SHAPE" in self.operators else (note,)


def open_shape(tensor: Tensor) -> tuple[int, ...]:
    """The shape of a tensor, with -1 for what the file leaves open."""
    return tuple(-1 if axis in tensor.open_dims else size for axis, size in enumerate(tensor.shape))


def _described(names: tuple[str, ...], dtypes: tuple[str, ...], shapes: tuple[tuple[int, ...], ...]) -> str:
    """`image: int8 1 × 8 × 8 × 3`, one after another."""
    sizes = (" × ".join("?" if size < 0 else str(size) for size in shape) for shape in shapes)
    return ", ".join(
        f"{name}: {dtype} {size}" for name, dtype, size in zip(names, dtypes, sizes, strict=True)
    )
