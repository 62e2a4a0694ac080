"""A .tflite file as a C array, for firmware without a file system."""

import os
import re
from collections.abc import Iterable
from pathlib import Path

import numpy as np

from tfopt._files import check_parent, write_together
from tfopt.conversion._flatbuffer import Flatbuffer
from tfopt.conversion._op_resolver import resolver_macros
from tfopt.runtimes import TFLiteFile

# Ending of the source file -> the keyword that aligns, in its language.
_ALIGNS = {".c": "_Alignas", ".cc": "alignas", ".cpp": "alignas"}

# The schema wants its buffers aligned to 16, counted from the file's first byte.
_ALIGNMENT = 16

_HEX = [f"0x{byte:02x}" for byte in range(256)]


def write_c_array(
    path_tflite: str | os.PathLike, path_c: str | os.PathLike, name: str | None = None
) -> tuple[Path, Path]:
    """Writes a .tflite file as a C or C++ array, aligned to 16 bytes, with a header that declares it and its length.

    For microcontrollers: `tflite::GetModel(model_tflite)` reads the array where the linker put it. Declared `const`, it
    lies in flash. The header also has the file's operators, for the resolver of TFLite Micro, as macros named after the
    array: `MODEL_TFLITE_OPERATORS`, how many, and `MODEL_TFLITE_ADD_OPERATORS(resolver)`, which adds them.

    Args:
        path_tflite: the .tflite file.
        path_c: the source file to write: `.cc`, `.cpp` or `.c`. The header, ending in `.h`, goes beside it.
        name: what to call the array; its length is called `name` with `_len` behind. By default the name of the source
            file with `_tflite` behind.

    Returns:
        The paths of source file and header.

    Raises:
        ValueError: there is no such .tflite file, the folder does not exist, or `name` is no identifier.

    Example:

    >>> import keras, os, tempfile, tfopt
    >>> folder = tempfile.mkdtemp()
    >>> model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(2)])
    >>> report = tfopt.export(model, os.path.join(folder, "model.tflite"))
    >>> source, header = write_c_array(report.path, os.path.join(folder, "model.cc"))
    >>> print(*[line for line in header.read_text().splitlines() if line.startswith("extern const")])
    extern const unsigned char model_tflite[]; extern const unsigned int model_tflite_len;
    """
    source = check_c_array(path_c, "path_c")
    name = _checked(name) if name is not None else f"{_identifier(source.stem)}_tflite"
    file = TFLiteFile.read(path_tflite)
    header = source.with_suffix(".h")
    # With its constants inside the flatbuffer, where TFLite Micro looks for them.
    content = Flatbuffer(file.content).to_bytes()
    texts = {
        header: _header(name, header.name, file.op_counts),
        source: _source(name, header.name, _ALIGNS[source.suffix.lower()], content),
    }
    # A name of a file may be bytes that are no text: they come back as they were.
    write_together({path: text.encode(errors="surrogateescape") for path, text in texts.items()})
    return source, header


def check_c_array(path: str | os.PathLike, argument: str) -> Path:
    """The source file's path, if it and its header can be written there."""
    source = check_parent(path, argument)
    if source.suffix.lower() not in _ALIGNS:
        raise ValueError(
            f"The '{argument}' argument must end in {', '.join(_ALIGNS)}. Got {str(path)!r} instead. C++ "
            f"projects, such as those of TFLite Micro, take {source.stem + '.cc'!r}."
        )
    check_parent(source.with_suffix(".h"), argument)
    return source


def _checked(name: str) -> str:
    if not re.fullmatch(r"[A-Za-z_]\w*", name, re.ASCII):
        raise ValueError(
            f"The 'name' argument must be a C identifier: letters, digits and _, no digit first. Got {name!r} instead. "
            f"Pass {_identifier(name)!r}."
        )
    return name


def _identifier(text: str) -> str:
    """The text with _ for what C does not allow in a name.

    >>> _identifier("digits-int8"), _identifier("8bit")
    ('digits_int8', '_8bit')
    """
    text = re.sub(r"\W", "_", text, flags=re.ASCII)
    return f"_{text}" if text[:1].isdigit() or not text else text


def _header(name: str, file_name: str, operators: Iterable[str]) -> str:
    guard = f"TFOPT_{_identifier(file_name)}_".upper()
    return f"""// Written by tfopt.
#ifndef {guard}
#define {guard}

#ifdef __cplusplus
extern "C" {{
#endif

extern const unsigned char {name}[];
extern const unsigned int {name}_len;

{resolver_macros(name, operators)}

#ifdef __cplusplus
}}
#endif

#endif  // {guard}
"""


def _source(name: str, header: str, aligns: str, content: bytes) -> str:
    codes = np.frombuffer(content, "uint8").tolist()
    lines = (", ".join(_HEX[code] for code in codes[at : at + 16]) for at in range(0, len(codes), 16))
    body = ",\n    ".join(lines)
    return f"""// Written by tfopt.
#include "{header}"

{aligns}({_ALIGNMENT}) const unsigned char {name}[] = {{
    {body},
}};
const unsigned int {name}_len = {len(content)};
"""
