"""Conversion to TFLite: the one place that drives TensorFlow's converter."""

import contextlib
import errno
import io
import os
import tempfile
import warnings
from collections.abc import Sequence
from typing import Any

import keras

from tfopt._progress import progress
from tfopt._quiet import quiet
from tfopt.conversion._formats import CONVERTED, FLOAT, INTEGER
from tfopt.conversion._frozen import frozen_function, save_with_state
from tfopt.conversion._refusals import why_refused
from tfopt.conversion._stand_ins import StandIn


def convert(
    model: keras.Model,
    format: str = "float32",
    ends: tuple[str, str] = ("float32", "float32"),
    replaced: Sequence[StandIn] = (),
) -> bytes:
    """The .tflite file of a lowered model.

    Args:
        model: what `lower` returned.
        format: `"int8"` or `"int16"` to compute in int8 what lies between the model's fake quantizers; else how a
            float file stores its weights, a key of `CONVERTED`.
        ends: types of the inputs and outputs of an integer file; where they are not its own, the first and last
            operators convert. int16 ones are int8 here (`to_int16`).
        replaced: kernels that the converter does not see; `put_back` writes them into the file.

    Returns:
        The bytes of the file.

    Raises:
        RuntimeError: the backend is not TensorFlow, or the converter refuses the model; with the first cause.
    """
    if keras.backend.backend() != "tensorflow":
        raise RuntimeError(
            f"Export needs the TensorFlow backend of Keras. Got {keras.backend.backend()!r} instead. Save the model "
            "as .keras, and export it in a process started with KERAS_BACKEND=tensorflow."
        )
    import tensorflow as tf

    log: list[str] = []
    try:
        # Notebooks replace sys.stdout; sys.stderr is left alone, for loggers made meanwhile would keep it. The bar
        # does not tell how much time remains: it is one call of C++.
        with (
            progress("Converting", None),
            quiet(1, 2) as log,
            contextlib.redirect_stdout(io.StringIO()),
            warnings.catch_warnings(),
        ):
            warnings.simplefilter("ignore")
            with tempfile.TemporaryDirectory() as folder:
                converter = _converter(model, os.path.join(folder, "model"), replaced)
                if format in INTEGER:
                    converter.optimizations = [tf.lite.Optimize.DEFAULT]
                    types = [tf.int8 if end == "int16" else tf.as_dtype(end) for end in ends]
                    converter.inference_input_type, converter.inference_output_type = types
                else:
                    CONVERTED.get(format, CONVERTED[FLOAT])(converter)
                return converter.convert()
    except Exception as error:
        if (cause := _of_temporary_files(error)) is not None:
            raise RuntimeError(
                f"The model {model.name!r} cannot be converted: {cause} in {tempfile.gettempdir()!r}, where the "
                "converter keeps its files meanwhile. Make room, or set the variable TMPDIR to another folder."
            ) from error
        raise RuntimeError(
            f"The TFLite converter refused {model.name!r}: {why_refused(error, log)}"
        ) from error


def _of_temporary_files(error: Exception) -> str | None:
    """What the system says where a file could not be written; None where something else went wrong."""
    if isinstance(error, OSError):
        return error.strerror or str(error)
    # TensorFlow's own kinds of errors hold it as text.
    said = (os.strerror(number) for number in (errno.ENOSPC, errno.EFBIG, errno.EDQUOT, errno.EROFS))
    return next((words for words in said if words in str(error)), None)


def _converter(model: keras.Model, folder: str, replaced: Sequence[StandIn]) -> Any:
    """TensorFlow's converter of a model; never `from_keras_model`, which replaces the first error by another."""
    import tensorflow as tf

    frozen = frozen_function(model, replaced)
    if frozen is None:
        save_with_state(model, folder)
        return tf.lite.TFLiteConverter.from_saved_model(folder)
    converter = tf.lite.TFLiteConverter.from_concrete_functions([frozen], model)
    converter.experimental_lower_to_saved_model = False  # half of the time of a conversion
    return converter
