"""End types: the types of a file's inputs and outputs."""

from tfopt.runtimes import TFLiteFile

# Format of a file -> the types that its ends can have, its own first. A new one adds a row.
END_TYPES = {"int8": ("int8", "uint8", "float32"), "int16": ("int16", "float32")}


def end_types(
    format: str, input_dtype: str | None = None, output_dtype: str | None = None
) -> tuple[str, str]:
    """The types of inputs and outputs, if the format can have them.

    Args:
        format: how the file computes, such as `"int8"`.
        input_dtype: what the user asks for; None for the format's own.
        output_dtype: likewise.

    Raises:
        ValueError: no file of this format has such inputs or outputs.

    >>> end_types("int8"), end_types("int8", "uint8", "float32")
    (('int8', 'int8'), ('uint8', 'float32'))
    """
    known = END_TYPES.get(format, ("float32",))
    for argument, dtype in (("input_dtype", input_dtype), ("output_dtype", output_dtype)):
        if dtype is not None and dtype not in known:
            raise ValueError(
                f"The '{argument}' argument must be {' or '.join(map(repr, known))} for a file that computes in "
                f"{format}. Got {dtype!r} instead. {_ADVICE.get(format, _QUANTIZE)}"
            )
    return input_dtype or known[0], output_dtype or known[0]


def check_ends(file: TFLiteFile) -> None:
    """Raises ValueError where an output of 16 bits, as of a widened concatenation, was to be uint8.

    LiteRT's QUANTIZE kernel makes int8, int16 or int32 of int16 (tflite/kernels/quantize.cc, tried on 2.3).
    """
    for op in file.operators:
        source, made = (op.inputs[0], op.outputs[0]) if op.name == "QUANTIZE" else (None, None)
        if source is not None and made is not None and (source.dtype, made.dtype) == ("int16", "uint8"):
            raise ValueError(
                f"The 'output_dtype' argument must be 'float32', or left out, for {made.name!r}, which the model "
                "returns in 16 bits. Got 'uint8' instead. Nothing was written."
            )


_QUANTIZE = "For whole numbers quantize the model first, or pass format='int8' with calibration samples."
_ADVICE = {
    "int8": "int16 inputs come with tfopt.QuantConfig(activation_bits=16).",
    "int16": "int8 and uint8 have 256 steps alone; quantize with 8 bits for them.",
}
