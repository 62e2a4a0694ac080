"""Every runtime by its name."""

import warnings
from collections.abc import Sequence
from typing import Any

from tfopt.runtimes._litert import LiteRT, LiteRTBuiltin, LiteRTReference
from tfopt.runtimes._runtime import RunResult, Runtime
from tfopt.runtimes._tflite_micro import TFLiteMicro

# Value of a 'runtime' argument -> the class that runs it. A new runtime adds a row.
RUNTIMES: dict[str, type[Runtime]] = {
    "xnnpack": LiteRT,
    "builtin": LiteRTBuiltin,
    "reference": LiteRTReference,
    "tflm": TFLiteMicro,
}


def load(model: Any, runtime: str = "xnnpack", num_threads: int = 1, keep_tensors: bool = False) -> Runtime:
    """Loads a .tflite file into a runtime; use it to run the same file more than once.

    Args:
        model: path or bytes of a .tflite file, or a `TFLiteFile`.
        runtime: `"xnnpack"` (LiteRT as applications run it), `"builtin"` (LiteRT without a delegate), `"reference"`
            (LiteRT's plain loops) or `"tflm"` (TFLite Micro, of `pip install 'tfopt[mcu]'`).
        num_threads: threads that one operator may use; TFLite Micro has one.
        keep_tensors: keep what every operator writes, for `Runtime.tensor`.

    Returns:
        A `Runtime`. Of a file with several signatures it runs the first, which a warning says.

    Raises:
        ValueError: there is no such file, it is not a .tflite file, or `runtime` is unknown.
        ImportError: the runtime is not installed.
        CannotRunError: the runtime lacks an operator or refuses the file.

    Example:

    >>> import keras, os, tempfile
    >>> model = keras.Sequential([keras.Input((2,)), keras.layers.ReLU()])
    >>> path = os.path.join(tempfile.mkdtemp(), "model.tflite")
    >>> model.export(path, format="litert", verbose=False)
    >>> loaded = load(path, "builtin")
    >>> loaded.title, loaded.run([[1.0, -2.0]]).raw["output_0"]
    ('LiteRT builtin', array([[1., 0.]], dtype=float32))
    """
    (name,) = names_of(runtime)
    loaded = RUNTIMES[name](model, num_threads, keep_tensors)
    first, *others = loaded.file.signatures or ("",)
    if others:
        warnings.warn(
            f"{loaded.file.name} has {1 + len(others)} signatures. Of these {first!r} runs, and not "
            f"{', '.join(map(repr, others))}: write a file of each to check and measure them all.",
            stacklevel=2,
        )
    return loaded


def run(model: Any, samples: Any, runtime: str = "xnnpack", num_threads: int = 1) -> RunResult:
    """Runs a .tflite file and returns its outputs, as floats and raw.

    The file's batch size may be 1; any number of samples goes through. Open dimensions take the sizes of the samples.
    Integer inputs are quantized with the
    file's scale and zero point, as in `quantize_values`.

    Args:
        model: path or bytes of a .tflite file, or a `TFLiteFile`.
        samples: real values `(samples, ...)`; a list in the file's order or a dict by name for several inputs.
        runtime: `"xnnpack"`, `"builtin"`, `"reference"` or `"tflm"`, as for `load`.
        num_threads: threads that one operator may use.

    Returns:
        A `RunResult`.

    Raises:
        ValueError: the file is missing, the samples do not fit it, or `runtime` is unknown.
        ImportError: the runtime is not installed.
        CannotRunError: the runtime lacks an operator or refuses the file.

    Example:

    >>> import keras, os, tempfile
    >>> model = keras.Sequential([keras.Input((2,)), keras.layers.ReLU()])
    >>> path = os.path.join(tempfile.mkdtemp(), "model.tflite")
    >>> model.export(path, format="litert", verbose=False)
    >>> run(path, [[1.0, -2.0]], runtime="reference").raw["output_0"]
    array([[1., 0.]], dtype=float32)
    """
    return load(model, runtime, num_threads).run(samples)


def names_of(runtime: str | Sequence[str]) -> tuple[str, ...]:
    """The names in a 'runtime' argument, one or several, all of them known.

    Args:
        runtime: a name, or several.

    Raises:
        ValueError: there is none, or an unknown one.

    >>> names_of("tflm"), names_of(["xnnpack", "tflm"])
    (('tflm',), ('xnnpack', 'tflm'))
    """
    names = (runtime,) if isinstance(runtime, str) else tuple(runtime)
    unknown = [name for name in names if name not in RUNTIMES]
    if unknown or not names:
        raise ValueError(
            f"The 'runtime' argument must be one of {', '.join(map(repr, RUNTIMES))}. Got {runtime!r} instead. "
            "Pass 'xnnpack' to run it as applications do, or 'tflm' as microcontrollers do."
        )
    return tuple(dict.fromkeys(names))
