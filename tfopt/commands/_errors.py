"""What a command says of an error: one sentence that is the cause."""

import re
import sys

from tfopt._text import printable, raised_in_call

# {{function_node __wrapped__X}} /folder/file; No space left on device\n\tWhat could not be done. [Op:X] name:
_OF_TENSORFLOW = re.compile(r"\A(?:\{\{.*?\}\}\s*)?(.*?)(?:\s*\[Op:\w+\].*)?\Z", re.DOTALL)
_OF_A_FILE = re.compile(r"\A(/.*?); ([A-Z][^\n]*)")


def is_known(error: BaseException) -> bool:
    """Whether an error tells of what was asked, and not of a fault in tfopt."""
    return isinstance(error, (ValueError, TypeError, RuntimeError, OSError, MemoryError, ImportError)) or (
        _of_tensorflow(error)
    )


def sentence(error: BaseException) -> str:
    """The cause, without letters that do something to a terminal.

    >>> from tfopt.commands._errors import sentence
    >>> sentence(OSError(28, "No space left on device", "out.tflite"))
    'No space left on device: out.tflite'
    """
    if isinstance(error, MemoryError):
        return "There is not enough memory for this."
    if isinstance(error, OSError) and error.strerror:
        return printable(f"{error.strerror}: {error.filename}" if error.filename else error.strerror)
    if _of_tensorflow(error):
        text = _OF_TENSORFLOW.sub(r"\1", str(error))
        file = _OF_A_FILE.match(text)
        return printable(f"{file[2]}: {file[1]}" if file else text)
    layer, words = raised_in_call(str(error))
    return printable(f"In the call of a {layer}: {words}" if layer else words)


def _of_tensorflow(error: BaseException) -> bool:
    """Whether TensorFlow's runtime raised it: its errors of files are of no class of Python's."""
    tensorflow = sys.modules.get("tensorflow")
    return tensorflow is not None and isinstance(error, tensorflow.errors.OpError)
