"""LiteRT, with each of the three sets of kernels that it can run a file with."""

import contextlib
import re
import warnings
from collections.abc import Iterator, Sequence
from typing import ClassVar

import numpy as np

from tfopt._quiet import quiet
from tfopt.runtimes._runtime import CannotRunError, Runtime
from tfopt.runtimes._tensors import Tensor
from tfopt.runtimes._tflite_file import TFLiteFile


class LiteRT(Runtime):
    """LiteRT with its XNNPACK delegate: what applications run by default.

    Messages that the runtime writes to the terminal while it loads are suppressed. With `keep_tensors` the delegate
    runs each operator separately, so that every tensor can be read; the kernels are the same.

    Args:
        model: path or bytes of a .tflite file, or a `TFLiteFile`.
        num_threads: threads that one operator may use.
        keep_tensors: keep what every operator writes, for `tensor`.

    Raises:
        ValueError: there is no such file, or it is not a .tflite file.
        CannotRunError: LiteRT cannot run the file, such as one with Flex operators.

    Example:

    >>> import keras, os, tempfile
    >>> model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1, kernel_initializer="ones")])
    >>> path = os.path.join(tempfile.mkdtemp(), "model.tflite")
    >>> model.export(path, format="litert", verbose=False)
    >>> LiteRT(path).run([[1.0, 2.0], [3.0, 4.0]]).values["output_0"]
    array([[3.], [7.]], dtype=float32)
    """

    title: ClassVar[str] = "LiteRT"
    resolver: ClassVar[str] = "AUTO"

    def _open(self, num_threads: int, keep_tensors: bool) -> None:
        from ai_edge_litert.interpreter import Interpreter, OpResolverType

        # The interpreter prints "INFO: Created TensorFlow Lite XNNPACK delegate for CPU." past `sys.stderr`.
        with quiet(2), warnings.catch_warnings():
            warnings.filterwarnings("ignore", ".*experimental_preserve_all_tensors", UserWarning)
            try:
                self.interpreter = Interpreter(
                    model_content=self.file.content,
                    num_threads=num_threads,
                    experimental_op_resolver_type=OpResolverType[self.resolver],
                    experimental_preserve_all_tensors=keep_tensors,
                )
                # A convolution may refuse the size 1 that open dimensions have before they are set.
                self._shapes = None if self.file.is_open else [tensor.shape for tensor in self.file.inputs]
                if self._shapes:
                    self.interpreter.allocate_tensors()
            except (RuntimeError, ValueError) as error:
                raise _cannot_run(self.file, error) from error

    def set_inputs(self, arrays: Sequence[np.ndarray]) -> None:
        self._resize([array.shape for array in arrays])
        with self._failing():
            for tensor, array in zip(self.file.inputs, arrays, strict=True):
                self.interpreter.set_tensor(tensor.index, array)

    def _resize(self, shapes: list[tuple[int, ...]]) -> None:
        """Gives open dimensions the sizes of the samples."""
        if shapes == self._shapes:
            return
        with quiet(2):
            try:
                for tensor, shape in zip(self.file.inputs, shapes, strict=True):
                    self.interpreter.resize_tensor_input(tensor.index, shape)
                self.interpreter.allocate_tensors()
            except (RuntimeError, ValueError) as error:
                raise _cannot_run(self.file, error) from error
        self._shapes = shapes

    def reset(self) -> None:
        if self.file.has_state and self._shapes:
            with self._failing():
                self.interpreter.reset_all_variables()

    def invoke(self) -> None:
        with self._failing():
            self.interpreter.invoke()

    def tensor(self, tensor: Tensor) -> np.ndarray:
        with self._failing():
            return self.interpreter.get_tensor(tensor.index)

    @contextlib.contextmanager
    def _failing(self) -> Iterator[None]:
        """A file that was loaded may be damaged all the same: what it says then names it."""
        try:
            yield
        except (RuntimeError, ValueError) as error:
            raise _cannot_run(self.file, error) from error


class LiteRTBuiltin(LiteRT):
    """LiteRT without a delegate: TFLite's own optimized kernels.

    Args:
        model: path or bytes of a .tflite file, or a `TFLiteFile`.
        num_threads: threads that one operator may use.
        keep_tensors: keep what every operator writes, for `tensor`.

    Raises:
        ValueError: as `LiteRT`.
        CannotRunError: as `LiteRT`.

    Example: see `load`.
    """

    title = "LiteRT builtin"
    resolver = "BUILTIN_WITHOUT_DEFAULT_DELEGATES"


class LiteRTReference(LiteRT):
    """LiteRT with the plain loops that TFLite Micro shares.

    Args:
        model: path or bytes of a .tflite file, or a `TFLiteFile`.
        num_threads: threads that one operator may use.
        keep_tensors: keep what every operator writes, for `tensor`.

    Raises:
        ValueError: as `LiteRT`.
        CannotRunError: as `LiteRT`; some newer operators have no reference kernel.

    Example: see `load`.
    """

    title = "LiteRT reference"
    resolver = "BUILTIN_REF"


def _cannot_run(file: TFLiteFile, error: Exception) -> CannotRunError:
    lacks = {op.name for op in file.custom_ops} or set(re.findall(r"builtin opcode '(\w+)'", str(error)))
    if lacks:
        names = sorted(lacks)
        message = (
            f"LiteRT cannot run {file.name}: it has no kernel for {', '.join(names)}. "
            "Replace the layers of these operators by ones that TFLite has built in, and export again."
        )
        return CannotRunError(message, names)
    return CannotRunError(
        f"LiteRT cannot run {file.name}: {str(error).strip()} Export the model again for LiteRT."
    )
