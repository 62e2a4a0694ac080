"""`export`: a Keras model becomes a .tflite file, whole or not at all."""

import os
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

import keras

from tfopt._files import check_parent, write_whole
from tfopt._replicas import average_statistics
from tfopt.conversion._borders import drop_borders
from tfopt.conversion._check_target import TARGET_ENTRY, check_target
from tfopt.conversion._convert import convert
from tfopt.conversion._end_types import check_ends, end_types
from tfopt.conversion._export_report import ExportReport, open_shape
from tfopt.conversion._flatbuffer import Flatbuffer
from tfopt.conversion._formats import INTEGER, check_format, kept_format, store_in_format
from tfopt.conversion._int16 import to_int16
from tfopt.conversion._lower import lower
from tfopt.conversion._lstm import write_lstms
from tfopt.conversion._names import output_names
from tfopt.conversion._selects import renew_selects
from tfopt.conversion._shapes import check_fixed, check_outputs, fix_shapes
from tfopt.conversion._sparse import sparsify
from tfopt.conversion._stand_ins import put_back, stand_ins
from tfopt.conversion._storage import StoredWeights, store_weights
from tfopt.conversion._tensor_names import shorten_names
from tfopt.graph import Graph, capture, check_finite
from tfopt.kernels import TARGETS, IntegerModel, refuse_preprocessing, target_of
from tfopt.runtimes import TFLiteFile, measure_size, sparse_bytes


def export(
    model: keras.Model,
    path: str | os.PathLike,
    *,
    format: str | None = None,
    batch_size: int | None = 1,
    shapes: Mapping[str, Sequence[int]] | None = None,
    input_dtype: str | None = None,
    output_dtype: str | None = None,
    strict: bool = False,
    sparse: bool = False,
) -> ExportReport:
    """Writes a model as a .tflite file for LiteRT: int8 for what `quantize` returned, else float32.

    An int8 file takes and gives int8 and computes what the quantized model computes; `verify` proves it. Weights are
    written already rounded to their grid, so that the converter finds every scale itself, per channel. With
    `QuantConfig(activation_bits=16)` inputs, activations and outputs are int16. Inputs and outputs have the names and
    the order that they have in the model: an output is called by its key where the model returns a dict, else as the
    layer that makes it.

    Args:
        model: a built Keras model, as `quantize` returned and `fit` trained it, or a float one.
        path: the file to write; an old one is replaced in one step, after the new one is complete.
        format: how the file stores and computes, for a float model: `"float32"`, the default; `"float16"`, weights of
            16 bits, computing in float32 on CPUs; `"dynamic"`, int8 weights and activations that are rounded as they
            come; `"weights_int8"` or `"weights_int4"`, weights of 8 or 4 bits that are unpacked to compute in float32
            (of `pip install 'tfopt[formats]'`). A quantized model has its own, `"int8"` or `"int16"`.
        batch_size: samples in a call of the file; None leaves it open, for who runs the file to set.
        shapes: the shape of one sample, without the batch, of inputs with open dimensions, by name:
            `{"image": (224, 224, 3)}`. What is still open is in the report. An LSTM of open sequences becomes a stream
            with one step, `{"x": (1, 40)}`: the file keeps its state from call to call.
        input_dtype: type of the inputs of an integer file: its own by default, or `"float32"`, or `"uint8"` for an
            int8 file: the same steps, counted from 0. An operator at the file's ends converts. Inputs of whole
            numbers, such as indices, stay as they are.
        output_dtype: type of the outputs, likewise. A concatenation that `overrides` gave 16 bits is int16, or float32.
        strict: make it an error if a quantized model's file computes anything in float.
        sparse: store kernels with many zeros as their nonzero values and where they stand, if that is smaller and
            LiteRT reads it: the file is smaller, in flash too; what it computes, how fast, and in how much memory
            does not change. int8 FULLY_CONNECTED stays dense, as LiteRT cannot unpack it; the report names each.

    Returns:
        An `ExportReport`: it prints as a table and has `to_dict()`.

    Raises:
        TypeError: `model` is not a Keras 3 model.
        ValueError: the folder does not exist, `batch_size` is below 1, the model is not built; a shape, format or
            type does not fit the model; `strict` is set and an operator has no int8 kernel; or the runtime of the
            model's target lacks an operator of the file.
        ImportError: the format needs a package that is not installed.
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
    if batch_size is not None and (not isinstance(batch_size, int) or batch_size < 1):
        raise ValueError(
            "The 'batch_size' argument must be an integer of 1 or more, or None to leave it open. Got "
            f"{batch_size!r} instead."
        )
    average_statistics(model)
    captured = capture(model)
    check_finite(model)
    refuse_preprocessing(captured)
    graph = fix_shapes(captured, shapes or {})
    target = target_of(model)
    check_fixed(graph, target)
    kept = kept_format(model)
    format = check_format(format, kept, sparse)
    ends = end_types(kept, input_dtype, output_dtype)
    flatbuffer, stored = _convert(model, graph, batch_size, format, ends)
    sparse_kernels = sparsify(flatbuffer) if sparse else ()
    # The converter's version and its flags, which no runtime reads.
    flatbuffer.drop_metadata("CONVERSION_METADATA")
    if target != "litert":
        flatbuffer.set_metadata(TARGET_ENTRY, target.encode())
    content = flatbuffer.to_bytes()
    file = TFLiteFile.of(flatbuffer.model, content)
    floats = _count(op.name for op in file.float_ops) if format in INTEGER else {}
    if strict and floats:
        raise ValueError(
            f"With strict=True every operator of {model.name!r} must compute in int8. Got float "
            f"{', '.join(floats)}. Nothing was written; print the model's report for the layers, or leave strict out."
        )
    check_ends(file)
    check_target(file, target, model.name)
    check_outputs(graph, file.outputs)
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
        input_names=tuple(tensor.name for tensor in file.inputs),
        output_names=tuple(tensor.name for tensor in file.outputs),
        input_shapes=tuple(open_shape(tensor) for tensor in file.inputs),
        output_shapes=tuple(open_shape(tensor) for tensor in file.outputs),
        stored=stored,
        sparse_kernels=sparse_kernels,
        has_state=file.has_state,
    )


def _convert(
    model: keras.Model, graph: Graph, batch_size: int | None, format: str, ends: tuple[str, str]
) -> tuple[Flatbuffer, tuple[StoredWeights, ...]]:
    """The file of a captured model, edited to hold what the model holds; and how kernels are stored in it."""
    inference = lower(model, batch_size, graph)
    flatbuffer = _converted(inference, format, ends)
    drop_borders(flatbuffer, inference)
    renew_selects(flatbuffer)
    is_int16 = format == "int16"
    # No kernel reads packed weights and 16-bit codes.
    pack = (model.pack_weights if isinstance(model, IntegerModel) else True) and not is_int16
    stored = store_weights(flatbuffer, model, inference, pack)
    if format in INTEGER:
        to_int16(flatbuffer, inference, is_int16, TARGETS[target_of(model)].narrow_slopes)
    write_lstms(flatbuffer, inference)
    flatbuffer.set_names([tensor.name for tensor in inference.inputs], output_names(graph, model))
    shorten_names(flatbuffer, inference)
    return flatbuffer, stored


def _converted(inference: keras.Model, format: str, ends: tuple[str, str]) -> Flatbuffer:
    """What the converter makes of a lowered model, with the large kernels in it that it was not given."""
    replaced = stand_ins(inference) if format in INTEGER else ()
    if replaced:
        file = Flatbuffer(convert(inference, format, ends, replaced))
        if put_back(file, replaced):
            return file
    return Flatbuffer(store_in_format(convert(inference, format, ends), format))


def _count(names: Iterable[str]) -> dict[str, int]:
    return dict(Counter(names).most_common())
