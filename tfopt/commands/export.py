"""tfopt export MODEL.keras FILE.tflite: int8 if the model is quantized, else float32."""

import keras
from absl import flags

import tfopt
from tfopt.commands._arguments import take

END_TYPES = ("int8", "uint8", "int16", "float32")
_BATCH_SIZE = flags.DEFINE_integer("batch_size", 1, "Samples in a call of the file.", lower_bound=1)
_INPUT = flags.DEFINE_enum("input_dtype", None, END_TYPES, "Type of the inputs; by default the file's own.")
_OUTPUT = flags.DEFINE_enum(
    "output_dtype", None, END_TYPES, "Type of the outputs; by default the file's own."
)
_STRICT = flags.DEFINE_bool("strict", False, "Fail if a quantized model's file computes anything in float.")
_SPARSE = flags.DEFINE_bool("sparse", False, "Store kernels with many zeros sparsely, where LiteRT reads it.")


def main(arguments: list[str]) -> None:
    """Runs the command."""
    model, path = take(arguments, "MODEL.keras", "FILE.tflite")
    report = tfopt.export(
        keras.models.load_model(model, compile=False),
        path,
        batch_size=_BATCH_SIZE.value,
        input_dtype=_INPUT.value,
        output_dtype=_OUTPUT.value,
        strict=_STRICT.value,
        sparse=_SPARSE.value,
    )
    print(report)
