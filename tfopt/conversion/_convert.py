"""Conversion to TFLite: the one place that drives TensorFlow's converter."""

import contextlib
import io
import warnings

import keras

from tfopt._quiet import quiet
from tfopt.conversion._formats import CONVERTED, FLOAT, INTEGER
from tfopt.conversion._frozen import frozen_function


def convert(
    model: keras.Model, format: str = "float32", ends: tuple[str, str] = ("float32", "float32")
) -> bytes:
    """The .tflite file of a lowered model.

    Args:
        model: what `lower` returned.
        format: `"int8"` or `"int16"` to compute in int8 what lies between the model's fake quantizers; else how a
            float file stores its weights, a key of `CONVERTED`.
        ends: types of the inputs and outputs of an integer file; where they are not its own, the first and last
            operators convert. int16 ones are int8 here (`to_int16`).

    Returns:
        The bytes of the file.

    Raises:
        RuntimeError: the backend is not TensorFlow, or the converter refuses the model; with its last words.
    """
    if keras.backend.backend() != "tensorflow":
        raise RuntimeError(
            f"Export needs the TensorFlow backend of Keras. Got {keras.backend.backend()!r} instead. Save the model "
            "as .keras, and export it in a process started with KERAS_BACKEND=tensorflow."
        )
    import tensorflow as tf

    log: list[str] = []
    try:
        # Notebooks replace sys.stdout; sys.stderr is left alone, for loggers made meanwhile would keep it.
        with quiet(1, 2) as log, contextlib.redirect_stdout(io.StringIO()), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            frozen = frozen_function(model)
            if frozen is not None:
                converter = tf.lite.TFLiteConverter.from_concrete_functions([frozen], model)
                converter.experimental_lower_to_saved_model = False  # half of the time of a conversion
            else:
                converter = tf.lite.TFLiteConverter.from_keras_model(model)
            if format in INTEGER:
                converter.optimizations = [tf.lite.Optimize.DEFAULT]
                types = [tf.int8 if end == "int16" else tf.as_dtype(end) for end in ends]
                converter.inference_input_type, converter.inference_output_type = types
            else:
                CONVERTED.get(format, CONVERTED[FLOAT])(converter)
            return converter.convert()
    except Exception as error:
        raise RuntimeError(
            f"The TFLite converter refused {model.name!r}: {_last_words(error, log)} "
            "tfopt.quantize(model).report names the operations that have no TFLite kernel."
        ) from error


def _last_words(error: Exception, log: list[str]) -> str:
    lines = [line for line in (*log, *str(error).splitlines()) if "error:" in line]
    return (lines or [f"{type(error).__name__}: {error}"])[-1].strip()
