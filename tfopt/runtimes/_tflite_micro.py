"""TFLite Micro, the runtime of microcontrollers, as its Python package runs it on this machine."""

import contextlib
import dataclasses
import re
from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np

from tfopt._quiet import quiet
from tfopt.runtimes._runtime import CannotRunError, Runtime
from tfopt.runtimes._schema import is_split, parse
from tfopt.runtimes._tensors import Tensor
from tfopt.runtimes._tflite_file import TFLiteFile

INSTALL = "pip install 'tfopt[mcu]'"


@dataclasses.dataclass(frozen=True)
class Arena:
    """Bytes that TFLite Micro takes from its arena, the one block of memory that it works in.

    They are those of a 64-bit machine: `tail` is larger here than on a microcontroller, whose pointers have 4 bytes.

    Args:
        total: all of it.
        head: activations and scratch buffers, which share their memory over time.
        tail: what is kept for all calls: descriptions of tensors and operators, and the kernels' own tables.

    Example:

    >>> Arena(total=5392, head=720, tail=4672).head
    720
    """

    total: int
    head: int
    tail: int


class TFLiteMicro(Runtime):
    """TFLite Micro with its reference kernels, which compute the same numbers on microcontrollers.

    It needs the package `tflite-micro`: `pip install 'tfopt[mcu]'`.

    Args:
        model: path or bytes of a .tflite file, or a `TFLiteFile`.
        num_threads: must be 1, because TFLite Micro has no threads.
        keep_tensors: keep what every operator writes, for `tensor`; `arena` is then None.

    Attributes:
        arena: the bytes that the file needs.

    Raises:
        ValueError: there is no such file, it is not a .tflite file, or `num_threads` is not 1.
        ImportError: the package is not installed.
        CannotRunError: TFLite Micro lacks an operator, or lacks it for the types in the file.

    Example:

    >>> import keras, os, tempfile
    >>> model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1, kernel_initializer="ones")])
    >>> path = os.path.join(tempfile.mkdtemp(), "model.tflite")
    >>> model.export(path, format="litert", verbose=False)
    >>> loaded = TFLiteMicro(path)
    >>> loaded.run([[1.0, 2.0]]).values["output_0"], loaded.arena.total < 4096
    (array([[3.]], dtype=float32), True)
    """

    title: ClassVar[str] = "TFLite Micro"

    def _open(self, num_threads: int, keep_tensors: bool) -> None:
        if num_threads != 1:
            raise ValueError(
                f"The 'num_threads' argument must be 1 for TFLite Micro, which has no threads. Got {num_threads}."
            )
        runtime = _import()
        if is_split(self.file.content):
            raise CannotRunError(
                f"TFLite Micro cannot run {self.file.name}: its constants lie behind the flatbuffer, where it does not "
                "look. tfopt.compression.compress_weights writes the file anew with all of them inside."
            )
        mode = "kPreserveAllTensors" if keep_tensors else "kAllocationRecording"
        with quiet(1, 2) as log:
            try:
                self.interpreter = runtime.Interpreter.from_bytes(
                    self.file.content,
                    arena_size=_arena_size(self.file),
                    intrepreter_config=runtime.InterpreterConfig[mode],  # the package spells it so
                )
            except RuntimeError as error:
                failure: RuntimeError | None = error
            else:
                failure = None
        if failure is not None:
            raise _cannot_run(self.file, runtime, log) from failure
        self._kept = keep_tensors
        self._positions = _output_positions(self.file.content)
        self.arena = None if keep_tensors else self._measure()

    def set_inputs(self, arrays: Sequence[np.ndarray]) -> None:
        for tensor, array in zip(self.file.inputs, arrays, strict=True):
            if array.shape != tensor.shape:
                raise CannotRunError(
                    f"TFLite Micro cannot resize the input {tensor.name!r} of {self.file.name} from {tensor.shape} to "
                    f"{array.shape}. Fix its open dimensions with tfopt.export(..., shapes={{{tensor.name!r}: "
                    f"{array.shape[1:]}}})."
                )
        for position, array in enumerate(arrays):
            self.interpreter.set_input(array, position)

    def reset(self) -> None:
        if self.file.has_state:
            self.interpreter.reset()

    def invoke(self) -> None:
        with quiet(1, 2) as log:
            try:
                self.interpreter.invoke()
            except RuntimeError as error:
                failure: RuntimeError | None = error
            else:
                failure = None
        if failure is not None:
            said = " ".join(line.strip() for line in log if line.strip())
            raise CannotRunError(f"TFLite Micro stopped in {self.file.name}: {said or failure}") from failure

    def tensor(self, tensor: Tensor) -> np.ndarray:
        if self._kept:
            return np.array(self.interpreter.GetTensor(tensor.index, 0)["tensor_data"])
        if tensor.index not in self._positions:
            raise CannotRunError(
                f"TFLite Micro cannot give {tensor.name!r} of {self.file.name}: the file's signature names it, but its "
                "graph does not write it. The file is damaged; export it again."
            )
        return np.array(self.interpreter.get_output(self._positions[tensor.index]))

    def _measure(self) -> Arena:
        with quiet(1, 2) as log:
            self.interpreter.print_allocations()
        sizes = dict(re.findall(r"Arena allocation (\w+) (\d+) bytes", "\n".join(log)))
        return Arena(*(int(sizes[name]) for name in ("total", "head", "tail")))


def _import() -> Any:
    try:
        from tflite_micro.python.tflite_micro import runtime
    except ImportError as error:
        raise ImportError(f"TFLite Micro is not installed. Install it with: {INSTALL}") from error
    return runtime


def _arena_size(file: TFLiteFile) -> int:
    """Bytes that are enough for the file with all of its tensors at once; what is not used costs nothing."""
    activations = sum(tensor.nbytes for op in file.operators for tensor in op.outputs)
    return 10 * len(file.content) + 4 * activations + 2**20


def _output_positions(content: bytes) -> dict[int, int]:
    """The position of each output tensor among the graph's outputs, whose order may differ from the signature's."""
    from ai_edge_litert import schema_py_generated as schema

    outputs = schema.Model.GetRootAs(content).Subgraphs(0).OutputsAsNumpy()
    return {int(index): position for position, index in enumerate(outputs)}


def _cannot_run(file: TFLiteFile, runtime: Any, log: list[str]) -> CannotRunError:
    lines = [line.strip() for line in log if line.strip()]
    if lacks := _lacking(file.content, runtime, lines):
        return CannotRunError(
            f"TFLite Micro cannot run {file.name}: it has no kernel for {', '.join(lacks)}. "
            "Replace the layers of these operators by ones that it has, and export again.",
            lacks,
        )
    nodes = re.findall(r"Node (\w+) \(number \d+\) failed to prepare", "\n".join(lines))
    said = " ".join(lines) or "it does not say why."
    return CannotRunError(
        f"TFLite Micro cannot run {file.name}: {said} It may have no kernel for these types: most operators "
        "need int8 or int16 throughout, so quantize the whole model.",
        nodes,
    )


def _lacking(content: bytes, runtime: Any, lines: list[str]) -> list[str]:
    """All operators without a kernel: TFLite Micro names only the first, so these are removed one by one."""
    import flatbuffers
    from ai_edge_litert import schema_py_generated as schema

    model = parse(content)
    found: list[str] = []
    while names := _unknown(lines):
        code = _code_of(model, schema, names[0])
        if code is None or names[0] in found:
            return found or names
        found.append(names[0])
        for graph in model.subgraphs:
            graph.operators = [op for op in graph.operators or () if op.opcodeIndex != code]
        builder = flatbuffers.Builder(1024)
        builder.Finish(model.Pack(builder), b"TFL3")
        with quiet(1, 2) as log, contextlib.suppress(RuntimeError):  # the log says why
            runtime.Interpreter.from_bytes(bytes(builder.Output()))
        lines = log
    return found


def _unknown(lines: list[str]) -> list[str]:
    return re.findall(r"(?:builtin opcode|custom opcode:?) '?(\w+)'?", "\n".join(lines))[:1]


def _code_of(model: Any, schema: Any, name: str) -> int | None:
    """The number of an operator's code, by the name that the error message gives it."""
    builtin = getattr(schema.BuiltinOperator, name, None)
    for number, code in enumerate(model.operatorCodes):
        if builtin is None and (code.customCode or b"").decode() == name:
            return number
        if builtin is not None and max(code.builtinCode, code.deprecatedBuiltinCode) == builtin:
            return number
    return None
