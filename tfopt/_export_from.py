"""`tfopt.export`: conversion, of models and of what becomes one: files, and float models with calibration samples."""

import dataclasses
import functools
import json
import os
import tempfile
import zipfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import keras

from tfopt import conversion
from tfopt._files import check_parent, is_same_file
from tfopt.conversion import ExportReport
from tfopt.kernels import IntegerModel, target_of
from tfopt.runtimes import TFLiteFile, measure_size

# Formats that a float model is quantized for -> the bits of its activations.
_BITS = {"int8": 8, "int16": 16}


def export(
    model: keras.Model | str | os.PathLike,
    path: str | os.PathLike,
    *,
    format: str | None = None,
    calibration: Any = None,
    batch_size: int | None = 1,
    shapes: Mapping[str, Sequence[int]] | None = None,
    input_dtype: str | None = None,
    output_dtype: str | None = None,
    strict: bool = False,
    sparse: bool = False,
    compress: bool = False,
) -> ExportReport:
    """Writes a model as a .tflite file for LiteRT: int8 for what `quantize` returned, else float32.

    An int8 file takes and gives int8 and computes what the quantized model computes; `verify` proves it. Weights are
    written already rounded to their grid, so that the converter finds every scale itself, per channel. With
    `QuantConfig(activation_bits=16)` inputs, activations and outputs are int16. Inputs and outputs have the names and
    the order that they have in the model: an output is called by its key where the model returns a dict, else as the
    layer that makes it.

    Args:
        model: a built Keras model, as `quantize` returned and `fit` trained it, or a float one; or the path of a saved
            one: `.keras`, `.h5`, or a SavedModel with layers. Those of Keras 2 go through `tfopt.legacy`.
        path: the file to write; an old one is replaced in one step, after the new one is complete.
        format: how the file stores and computes, for a float model: `"float32"`, the default; `"float16"`, weights of
            16 bits, computing in float32 on CPUs; `"dynamic"`, int8 weights and activations that are rounded as they
            come; `"weights_int8"` or `"weights_int4"`, weights of 8 or 4 bits that are unpacked to compute in float32
            (of `pip install 'tfopt[formats]'`); `"int8"` or `"int16"`, with `calibration`. A quantized model has its
            own, `"int8"` or `"int16"`.
        calibration: samples for `"int8"` or `"int16"` of a float model, as `quantize` takes them: it is quantized with
            the defaults, and not trained on.
        batch_size: samples in a call of the file; None leaves it open, for who runs the file to set.
        shapes: the shape of one sample, without the batch, of inputs with open dimensions, by name:
            `{"image": (224, 224, 3)}`. What is still open is in the report.
        input_dtype: type of the inputs of an integer file: its own by default, or `"float32"`, or `"uint8"` for an
            int8 file: the same steps, counted from 0. An operator at the file's ends converts. Inputs of whole
            numbers, such as indices, stay as they are.
        output_dtype: type of the outputs, likewise.
        strict: make it an error if a quantized model's file computes anything in float.
        sparse: store kernels with many zeros as their nonzero values and where they stand, if that is smaller and
            LiteRT reads it: the file is smaller, in flash too; what it computes, how fast, and in how much memory
            does not change. int8 FULLY_CONNECTED stays dense, as LiteRT cannot unpack it; the report names each.
        compress: for a model whose target is `"tflm"`: compress the kernels, which TFLite Micro decodes while it runs,
            as `tfopt.compression.compress_weights` does; not together with `sparse`.

    Returns:
        An `ExportReport`: it prints as a table and has `to_dict()`.

    Raises:
        TypeError: `model` is not a Keras 3 model.
        ValueError: the folder does not exist, `batch_size` is below 1, the model is not built or its file cannot be
            read; a shape, format or type does not fit the model, or `calibration` the format; `strict` is set and an
            operator has no int8 kernel; the runtime of the model's target lacks an operator of the file, or with
            `compress` the one that decodes kernels.
        ImportError: the format, or the model's file, needs a package that is not installed.
        RuntimeError: the converter refuses the model.

    Example:

    >>> import keras, numpy as np, os, tempfile, tfopt
    >>> path = os.path.join(tempfile.mkdtemp(), "model.tflite")
    >>> model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(2, activation="relu")])
    >>> samples = np.random.default_rng(0).normal(size=(64, 4))
    >>> report = tfopt.export(model, path, format="int8", calibration=samples)
    >>> report.inputs, report.operators, report.float_operators
    (('int8',), {'FULLY_CONNECTED': 1}, {})
    """
    check_parent(path, "path")
    if isinstance(model, (str, os.PathLike)) and is_same_file(model, path):
        raise ValueError(
            f"The 'path' argument must not be the model's own file. Got {str(path)!r} for both, and the model would be "
            "lost. Name another file, such as one that ends in .tflite."
        )
    loaded = load_saved(Path(model)) if isinstance(model, (str, os.PathLike)) else model
    if calibration is not None:
        loaded = _quantized(loaded, calibration, format)
    write = functools.partial(
        conversion.export,
        loaded,
        format=format,
        batch_size=batch_size,
        shapes=shapes,
        input_dtype=input_dtype,
        output_dtype=output_dtype,
        strict=strict,
        sparse=sparse,
    )
    return _compressed(loaded, path, write, sparse) if compress else write(path)


def _compressed(
    model: Any, path: str | os.PathLike, write: Callable[[Path], ExportReport], sparse: bool
) -> ExportReport:
    """Writes the file with its kernels compressed; the plain one goes to a folder that is gone afterwards."""
    # Imported here: a plain file needs nothing of it.
    from tfopt.compression import check_decoder, compress_weights

    target = target_of(model)
    if sparse:
        raise ValueError(
            "The 'sparse' and 'compress' arguments exclude each other: no runtime reads both. Got True twice."
        )
    check_decoder(target, "compress")
    with tempfile.TemporaryDirectory() as folder:
        plain = Path(folder) / Path(path).name
        exported = write(plain)
        report = compress_weights(plain, path, target=target)
    operators = TFLiteFile.read(path).op_counts
    return dataclasses.replace(
        exported, path=str(path), size=measure_size(path), operators=operators, compression=report
    )


def _quantized(model: Any, calibration: Any, format: str | None) -> keras.Model:
    """The model quantized with the defaults for a format."""
    if format not in _BITS:
        raise ValueError(
            f"The 'calibration' argument goes with format='int8' or 'int16' alone. Got the format {format!r}. Name one "
            "of these, or leave the samples out."
        )
    if isinstance(model, IntegerModel):
        raise ValueError(
            "The 'calibration' argument is for float models. Got a quantized one, which has its ranges. Leave the "
            "samples out."
        )
    # Imported here: a float file needs nothing of it.
    from tfopt.quantization import QuantConfig, quantize

    return quantize(model, calibration, QuantConfig(activation_bits=_BITS[format]))


def load_saved(path: Path) -> keras.Model:
    """The model in a file of Keras 3, or of Keras 2, or in a SavedModel.

    Who wrote it decides, not who can read it: Keras 3 reads some files of Keras 2 and computes something else, as
    `hard_sigmoid` is another function there.
    """
    wanted = "The 'model' argument must be a Keras model, or the path of one: .keras, .h5 or a SavedModel."
    if not path.exists():
        raise ValueError(f"{wanted} Nothing is at {str(path)!r}.")
    try:
        if path.is_file() and _version(path).startswith("3."):
            return keras.saving.load_model(path, compile=False)
        from tfopt.legacy import from_keras2

        return from_keras2(path)
    except ImportError:
        raise
    except Exception as error:  # why all: a damaged file fails as OSError, KeyError, TypeError, ...
        raise ValueError(f"{wanted} Got {str(path)!r}. {error}") from error


def _version(path: Path) -> str:
    """The version of Keras that wrote a file; "" where it does not say."""
    if zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as archive:
            return str(json.loads(archive.read("metadata.json")).get("keras_version", ""))
    import h5py  # of Keras itself

    with h5py.File(path) as file:
        return str(file.attrs.get("keras_version", ""))
