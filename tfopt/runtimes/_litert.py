"""Run a .tflite file on LiteRT, one sample or thousands, with floats in and floats out."""

import dataclasses
from collections.abc import Callable
from typing import Any

import numpy as np

from tfopt._float32 import HALF_WINDOW
from tfopt._quiet import quiet
from tfopt._samples import gather
from tfopt.runtimes._inputs import by_input
from tfopt.runtimes._tensors import Tensor
from tfopt.runtimes._tflite_file import TFLiteFile

# The kernels that LiteRT can run a file with, and the interpreter's name for them.
KERNELS = {
    "xnnpack": "AUTO",  # what applications get by default
    "builtin": "BUILTIN_WITHOUT_DEFAULT_DELEGATES",  # TFLite's own optimized kernels
    "reference": "BUILTIN_REF",  # the plain loops that TFLite Micro shares
}


@dataclasses.dataclass(frozen=True, eq=False)
class RunResult:
    """What a .tflite file computed.

    Args:
        values: Outputs as floats, `(samples, ...)`, by name. Integers are `scale * (raw - zero_point)`.
        raw: Outputs as the file gives them.

    Example:

    >>> RunResult({"y": np.array([[0.5]])}, {"y": np.array([[64]], "int8")}).raw["y"].dtype
    dtype('int8')
    """

    values: dict[str, np.ndarray]
    raw: dict[str, np.ndarray]


class LiteRT:
    """A .tflite file loaded into LiteRT's interpreter.

    Use it to run the same file more than once; `run` is the short form. Messages that the runtime writes on the
    terminal while it loads are held back.

    Args:
        model: Path or bytes of a .tflite file, or a `TFLiteFile`.
        kernels: `"xnnpack"` (LiteRT's default), `"builtin"` (no delegate) or `"reference"` (plain loops).
        num_threads: Threads that one operator may use.

    Raises:
        ValueError: If there is no such file, it is not a .tflite file, or `kernels` is unknown.
        RuntimeError: If LiteRT cannot run the file, such as one with Flex operators.

    Example:

    >>> import keras, os, tempfile
    >>> model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1, kernel_initializer="ones")])
    >>> path = os.path.join(tempfile.mkdtemp(), "model.tflite")
    >>> model.export(path, format="litert", verbose=False)
    >>> LiteRT(path).run([[1.0, 2.0], [3.0, 4.0]]).values["output_0"]
    array([[3.], [7.]], dtype=float32)
    """

    def __init__(self, model: Any, kernels: str = "xnnpack", num_threads: int = 1):
        if kernels not in KERNELS:
            raise ValueError(
                f"The 'kernels' argument must be one of {sorted(KERNELS)}. Got {kernels!r} instead. "
                "For what applications run, pass 'xnnpack'."
            )
        from ai_edge_litert.interpreter import Interpreter, OpResolverType

        self.file = TFLiteFile.read(model)
        # The interpreter prints "INFO: Created TensorFlow Lite XNNPACK delegate for CPU." past `sys.stderr`.
        with quiet(2):
            try:
                self.interpreter = Interpreter(
                    model_content=self.file.content,
                    num_threads=num_threads,
                    experimental_op_resolver_type=OpResolverType[KERNELS[kernels]],
                )
                self.interpreter.allocate_tensors()
            except (RuntimeError, ValueError) as error:
                raise RuntimeError(_cannot_run(self.file, error)) from error

    def run(
        self, samples: Any, order: tuple[str, ...] = (), advance: Callable[[int], Any] = lambda done: None
    ) -> RunResult:
        """Outputs for all samples, which go through in the file's own batch size.

        Args:
            samples: Real values, in any form that `verify` takes; integer inputs are quantized from them.
            order: Names of the inputs in the order of a list of samples; the file's order by default.
            advance: Called with the number of samples just done.
        """
        x, _ = gather(samples, len(self.file.inputs))
        arrays = by_input(x, self.file.inputs, order)
        feeds = [to_dtype(array, tensor) for array, tensor in zip(arrays, self.file.inputs, strict=True)]
        total, batch = len(feeds[0]), self.file.batch_size
        parts: list[list[np.ndarray]] = [[] for _ in self.file.outputs]
        for start in range(0, total, batch):
            for feed, tensor in zip(feeds, self.file.inputs, strict=True):
                # why minimum: the last batch is filled up with the last sample, and cut again below.
                rows = np.minimum(np.arange(start, start + batch), total - 1)
                self.interpreter.set_tensor(tensor.index, feed[rows])
            self.interpreter.invoke()
            for part, tensor in zip(parts, self.file.outputs, strict=True):
                part.append(self.interpreter.get_tensor(tensor.index))
            advance(min(batch, total - start))
        raw = {t.name: np.concatenate(p)[:total] for t, p in zip(self.file.outputs, parts, strict=True)}
        return RunResult({t.name: to_real(raw[t.name], t) for t in self.file.outputs}, raw)


def run(model: Any, samples: Any, kernels: str = "xnnpack", num_threads: int = 1) -> RunResult:
    """Runs a .tflite file on LiteRT and returns its outputs, as floats and raw.

    The file's batch size may be 1; any number of samples goes through. Integer inputs are quantized with the
    file's scale and zero point, as in `quantize_values`.

    Args:
        model: Path or bytes of a .tflite file, or a `TFLiteFile`.
        samples: Real values `(samples, ...)`; a list in the file's order or a dict by name for several inputs.
        kernels: `"xnnpack"` (LiteRT's default), `"builtin"` (no delegate) or `"reference"` (plain loops).
        num_threads: Threads that one operator may use.

    Raises:
        ValueError: If the file is missing or the samples do not fit it.
        RuntimeError: If LiteRT cannot run the file.

    Example:

    >>> import keras, os, tempfile
    >>> model = keras.Sequential([keras.Input((2,)), keras.layers.ReLU()])
    >>> path = os.path.join(tempfile.mkdtemp(), "model.tflite")
    >>> model.export(path, format="litert", verbose=False)
    >>> run(path, [[1.0, -2.0]], kernels="reference").raw["output_0"]
    array([[1., 0.]], dtype=float32)
    """
    return LiteRT(model, kernels, num_threads).run(samples)


def quantize_values(x: np.ndarray, scale: float, zero_point: int, dtype: str) -> np.ndarray:
    """Real values on the integer grid of a tensor: `floor(x / scale + 1/2) + zero_point`, clipped to the type.

    What lies within `HALF_WINDOW` steps below a half counts as a half and goes up, as at the inputs of a quantized
    model, so that file and simulation start from the same integers. (8 with a scale of 16/255 is half-way on
    paper and a little less in float32.) Runtimes that are handed floats differ there: LiteRT's QUANTIZE rounds
    halves away from zero, XNNPACK to even.

    Args:
        x: Real values, any shape.
        scale: Size of a step.
        zero_point: The integer that stands for 0.0.
        dtype: `"int8"`, `"uint8"` or `"int16"`.

    Example:

    >>> quantize_values(np.array([-0.5, 0.5, 0.24, 9.0]), scale=1.0, zero_point=-3, dtype="int8")
    array([-3, -2, -3,  6], dtype=int8)
    >>> quantize_values(np.array([8.0]), scale=float(np.float32(16 / 255)), zero_point=-128, dtype="int8")
    array([0], dtype=int8)
    """
    # In float32, as the simulation computes it: in float64 one value in 100,000 would go the other way.
    steps = np.asarray(x, np.float32) / np.float32(scale)
    rounded = np.floor(steps + np.float32(0.5 + HALF_WINDOW)) + zero_point
    limits = np.iinfo(dtype)
    return np.clip(rounded, limits.min, limits.max).astype(dtype)


def to_dtype(array: np.ndarray, tensor: Tensor) -> np.ndarray:
    """Real values in the type and on the grid of an input tensor."""
    if tensor.scale:
        return quantize_values(array, tensor.scale, tensor.zero_point, tensor.dtype)
    return np.ascontiguousarray(array, dtype=tensor.dtype)


def to_real(array: np.ndarray, tensor: Tensor) -> np.ndarray:
    """What the integers of an output tensor stand for, in float32; others as they are."""
    if tensor.scale:
        return ((array.astype(np.float64) - tensor.zero_point) * tensor.scale).astype(np.float32)
    return array


def _cannot_run(file: TFLiteFile, error: Exception) -> str:
    if file.custom_ops:
        names = sorted({op.name for op in file.custom_ops})
        return (
            f"LiteRT cannot run {file.name}: it has no kernel for {', '.join(names)}. "
            "Replace the layers behind these operators by ones that TFLite has built in, and export again."
        )
    return f"LiteRT cannot run {file.name}: {str(error).strip()} Export the model again for LiteRT."
