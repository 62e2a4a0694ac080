"""tfopt export MODEL.keras FILE.tflite: int8 if the model is quantized, else float32 or the format asked for.

With --compress the first argument may be a .tflite file, too.
"""

from pathlib import Path
from typing import Any

from absl import flags

import tfopt
from tfopt._export_from import load_saved
from tfopt._files import check_parent, is_same_file
from tfopt.commands._arguments import is_tflite, load_samples, reading, take, try_files
from tfopt.commands._output import show
from tfopt.compression import CompressionReport, compress_weights
from tfopt.conversion import ExportReport, write_c_array
from tfopt.conversion._c_array import check_c_array
from tfopt.runtimes import TFLiteFile

_FORMATS = ("float32", "float16", "dynamic", "weights_int8", "weights_int4", "int8", "int16")
_TYPES = ("int8", "uint8", "int16", "float32")
_FORMAT = flags.DEFINE_enum("format", None, _FORMATS, "How the file stores and computes; int8 needs samples.")
_CALIBRATION = flags.DEFINE_string("calibration", None, "A .npz or .npy file of inputs, for int8 or int16.")
_BATCH_SIZE = flags.DEFINE_integer("batch_size", 1, "Samples in a call; 0 leaves it open.", lower_bound=0)
_SHAPES = flags.DEFINE_multi_string(
    "shape", [], "Fixes an input with open dimensions, as image=224,224,3; once for each input."
)
_INPUT = flags.DEFINE_enum("input_dtype", None, _TYPES, "Type of the inputs; by default the file's own.")
_OUTPUT = flags.DEFINE_enum("output_dtype", None, _TYPES, "Type of the outputs; by default the file's own.")
_STRICT = flags.DEFINE_bool("strict", False, "Fail if a quantized model's file computes anything in float.")
_SPARSE = flags.DEFINE_bool("sparse", False, "Store kernels with many zeros sparsely, where LiteRT reads it.")
_COMPRESS = flags.DEFINE_bool("compress", False, "Compress kernels, which TFLite Micro decodes as it runs.")
_C_ARRAY = flags.DEFINE_string("c_array", None, "Write the file as a C array too: a .cc, .cpp or .c file.")
flags.declare_key_flag("json")
flags.declare_key_flag("max_memory")
flags.declare_key_flag("sizes")


def main(arguments: list[str]) -> None:
    """Runs the command."""
    model, path = take(arguments, "MODEL.keras", "FILE.tflite")
    if path.lower().endswith((".keras", ".h5")) and not is_same_file(model, path):
        raise ValueError(
            f"The file to write must not have the ending of a model: it would be taken for one. Got {path!r}. Name it "
            f"{Path(path).with_suffix('.tflite').name!r}."
        )
    if _C_ARRAY.value:
        check_c_array(_C_ARRAY.value, "--c_array")
    report: ExportReport | CompressionReport
    try:
        report = _compressed(model, path) if _is_file(model) else _export(model, path)
    except ImportError as error:  # which names the package to install
        raise RuntimeError(str(error)) from error
    show(report, [path])
    if _C_ARRAY.value:
        source, header = write_c_array(path, _C_ARRAY.value)
        print(f"Written as an array: {source}, {header}")


def _is_file(model: str) -> bool:
    """Whether the model is a file already, and only to be compressed."""
    return is_tflite(model) and _COMPRESS.value


def _compressed(file: str, path: str) -> CompressionReport:
    """A file from outside runs in a process of its own first."""
    TFLiteFile.read(file)  # what our parser refuses is not run at all
    try_files([file], ["tflm"])
    return compress_weights(file, path)


def _export(model: str, path: str) -> ExportReport:
    return tfopt.export(
        _load(model, path),
        path,
        format=_FORMAT.value,
        calibration=load_samples(_CALIBRATION.value)[0] if _CALIBRATION.value else None,
        batch_size=_BATCH_SIZE.value or None,
        shapes=dict(_shape(text) for text in _SHAPES.value),
        input_dtype=_INPUT.value,
        output_dtype=_OUTPUT.value,
        strict=_STRICT.value,
        sparse=_SPARSE.value,
        compress=_COMPRESS.value,
    )


def _load(model: str, path: str) -> Any:
    """The model in a file, read as files from outside are; what is no file, or is the output too, as it was given."""
    check_parent(path, "path")
    if not Path(model).is_file() or is_same_file(model, path):
        return model
    with reading(model):
        return load_saved(Path(model))


def _shape(text: str) -> tuple[str, tuple[int, ...]]:
    """`image=224,224,3` as a name and a shape."""
    name, _, sizes = text.partition("=")
    try:
        return name, tuple(int(size) for size in sizes.split(","))
    except ValueError as error:
        raise ValueError(
            f"The '--shape' flag must be a name and whole numbers, as image=224,224,3. Got {text!r} instead."
        ) from error
