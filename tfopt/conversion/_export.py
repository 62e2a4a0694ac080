"""`export`: a Keras model becomes a .tflite file, whole or not at all."""

import dataclasses
import os
from collections import Counter
from collections.abc import Iterable

import keras

from tfopt._files import check_parent, write_whole
from tfopt._report import Report, Table
from tfopt._text import format_bytes, names_with_counts, percent
from tfopt.conversion._borders import drop_borders
from tfopt.conversion._check_target import TARGET_ENTRY, check_target
from tfopt.conversion._convert import convert
from tfopt.conversion._flatbuffer import Flatbuffer
from tfopt.conversion._int16 import to_int16
from tfopt.conversion._lower import lower
from tfopt.conversion._selects import renew_selects
from tfopt.conversion._sparse import SparseKernel, sparsify
from tfopt.conversion._storage import StoredWeights, store_weights
from tfopt.graph import flatten_layers
from tfopt.kernels import TARGETS, ConstantFakeQuantize, IntegerModel, activation_bits
from tfopt.runtimes import Size, TFLiteFile, measure_size, sparse_bytes


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
        stored: how kernels are stored that were trained on another grid than 8 bits per channel.

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
    stored: tuple[StoredWeights, ...] = ()
    sparse_kernels: tuple[SparseKernel, ...] = ()

    def table(self) -> Table:
        bits = ", ".join(f"{count:,} of {bits} bits" for bits, count in self.weight_bits.items())
        rows = (
            ("size", f"{format_bytes(self.size.raw)} ({format_bytes(self.size.gzip)} gzipped)"),
            ("with all zeros left out", f"{format_bytes(self.sparse_bytes)} (sparse storage)"),
            ("inputs", ", ".join(self.inputs)),
            ("outputs", ", ".join(self.outputs)),
            ("operators", names_with_counts(self.operators)),
            ("of them in float", names_with_counts(self.float_operators)),
            ("QUANTIZE/DEQUANTIZE inside", str(self.grid_changes)),
            ("kernel weights", bits or "none"),
            ("of them zero", percent(self.sparsity)),
        )
        return Table(f"Exported {self.path}", ("what", "value"), rows, self._notes())

    def _notes(self) -> tuple[str, ...]:
        notes = tuple(stored.note for stored in self.stored if stored.note)
        if not self.sparse_kernels:
            return notes
        dense = [kernel for kernel in self.sparse_kernels if kernel.reason]
        count = f"{len(self.sparse_kernels) - len(dense)} of {len(self.sparse_kernels)}"
        reasons = (f"{kernel.name} is stored densely: {kernel.reason}." for kernel in dense)
        return (*notes, f"{count} kernels are in sparse storage.", *reasons)


def _count(names: Iterable[str]) -> dict[str, int]:
    return dict(Counter(names).most_common())


def export(
    model: keras.Model,
    path: str | os.PathLike,
    *,
    batch_size: int = 1,
    float_io: bool = False,
    strict: bool = False,
    sparse: bool = False,
) -> ExportReport:
    """Writes a model as a .tflite file for LiteRT: int8 for what `quantize` returned, else float32.

    An int8 file takes and gives int8 and computes what the quantized model computes; `verify` proves it. Weights are
    written already rounded to their grid, so that the converter finds every scale itself, per channel. With
    `QuantConfig(activation_bits=16)` inputs, activations and outputs are int16.

    Args:
        model: a built Keras model, as `quantize` returned and `fit` trained it, or a float one.
        path: the file to write; an old one is replaced in one step, after the new one is complete.
        batch_size: samples in a call of the file; TFLite fixes it.
        float_io: float32 inputs and outputs, with a QUANTIZE and a DEQUANTIZE operator at the ends.
        strict: make it an error if a quantized model's file computes anything in float.
        sparse: store kernels with many zeros as their nonzero values and where they stand, if that is smaller and
            LiteRT reads it: the file is smaller, in flash too; what it computes, how fast, and in how much memory
            does not change. int8 FULLY_CONNECTED stays dense, as LiteRT cannot unpack it; the report names each.

    Returns:
        An `ExportReport`: it prints as a table and has `to_dict()`.

    Raises:
        TypeError: `model` is not a Keras 3 model.
        ValueError: the folder does not exist, `batch_size` is below 1, the model is not built; or `strict` is set
            and an operator has no int8 kernel; or the runtime of the model's target lacks an operator of the file.
        RuntimeError: the converter refuses the model.

    Example:

    >>> import keras, numpy as np, os, tempfile, tfopt
    >>> model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(2, activation="relu")])
    >>> q = tfopt.quantize(model, calibration=np.random.default_rng(0).normal(size=(64, 4)))
    >>> report = tfopt.export(q, os.path.join(tempfile.mkdtemp(), "model.tflite"))
    >>> report.inputs, report.operators, report.float_operators
    (('int8',), {'FULLY_CONNECTED': 1}, {})
    """
    path = check_parent(path, "path")
    if batch_size < 1:
        raise ValueError(
            f"The 'batch_size' argument must be 1 or more, because TFLite fixes it. Got {batch_size} instead."
        )
    inference = lower(model, batch_size)
    integer = any(isinstance(layer, ConstantFakeQuantize) for layer in flatten_layers(inference))
    is_int16 = activation_bits(flatten_layers(model)) == 16
    # No kernel reads packed weights and 16-bit codes.
    pack = (model.pack_weights if isinstance(model, IntegerModel) else True) and not is_int16
    flatbuffer = Flatbuffer(convert(inference, integer, float_io))
    drop_borders(flatbuffer, inference)
    renew_selects(flatbuffer)
    stored = store_weights(flatbuffer, model, inference, pack)
    target = model.target if isinstance(model, IntegerModel) else "litert"
    if is_int16:
        to_int16(flatbuffer, inference, TARGETS[target].narrow_slopes)
    sparse_kernels = sparsify(flatbuffer) if sparse else ()
    if target != "litert":
        flatbuffer.set_metadata(TARGET_ENTRY, target.encode())
    content = flatbuffer.to_bytes()
    file = TFLiteFile.of(flatbuffer.model, content)
    floats = _count(op.name for op in file.float_ops) if integer and not float_io else {}
    if strict and floats:
        raise ValueError(
            f"With strict=True every operator of {model.name!r} must compute in int8. Got float "
            f"{', '.join(floats)}. Nothing was written; print the model's report for the layers, or leave strict out."
        )
    check_target(file, target, model.name)
    write_whole(path, content)
    return ExportReport(
        path=str(path),
        size=measure_size(content),
        sparse_bytes=sparse_bytes(len(content), file.kernels),
        operators=file.op_counts,
        float_operators=floats,
        grid_changes=len(file.inner_grid_changes),
        weight_bits=file.weight_bits,
        sparsity=file.sparsity,
        inputs=tuple(tensor.dtype for tensor in file.inputs),
        outputs=tuple(tensor.dtype for tensor in file.outputs),
        stored=stored,
        sparse_kernels=sparse_kernels,
    )
