"""Files of one operator, and the runtimes that say what it does to integer codes."""

import contextlib
import dataclasses
import os
import tempfile
from collections.abc import Iterator
from typing import Any

import flatbuffers
import numpy as np


@dataclasses.dataclass(frozen=True)
class Tensor:
    """A tensor of the file; with `data` it is a constant.

    Attributes:
        shape: its axes.
        dtype: "int8", "int16", "int32", "int64", "bool" or "float32".
        scale: the real value of one code: a number, or one for each index of `axis`.
        zero_point: the code of 0.0.
        data: the numbers, if they do not change.
        axis: the axis of the channels.
    """

    shape: tuple[int, ...]
    dtype: str = "int8"
    scale: Any = None
    zero_point: int = 0
    data: Any = None
    axis: int = 0


def one_operator(
    name: str, inputs: list[Tensor], outputs: list[Tensor], options: str = "", **settings: Any
) -> bytes:
    """A .tflite file of one operator.

    Args:
        name: the operator, as in the schema.
        inputs: what it reads; those without data are the inputs of the model.
        outputs: what it writes.
        options: the schema's class of its options, without the "T" at its end.
        **settings: what to set of them.

    Returns:
        The bytes of the file.
    """
    from ai_edge_litert import schema_py_generated as schema

    model, graph = schema.ModelT(), schema.SubGraphT()
    model.version, model.description = 3, name
    model.buffers = [schema.BufferT()]
    graph.tensors = []
    for number, tensor in enumerate((*inputs, *outputs)):
        graph.tensors.append(_tensor(schema, model, tensor, f"tensor_{number}"))
    operator, code = schema.OperatorT(), schema.OperatorCodeT()
    code.builtinCode = getattr(schema.BuiltinOperator, name)
    code.deprecatedBuiltinCode, code.version = min(code.builtinCode, 127), 1
    operator.inputs = list(range(len(inputs)))
    operator.outputs = [len(inputs) + i for i in range(len(outputs))]
    if options:
        operator.builtinOptions = getattr(schema, f"{options}T")()
        operator.builtinOptionsType = getattr(schema.BuiltinOptions, options)
        for key, value in settings.items():
            setattr(operator.builtinOptions, key, value)
    graph.operators, model.operatorCodes = [operator], [code]
    graph.inputs = [i for i, tensor in enumerate(inputs) if tensor.data is None]
    graph.outputs = operator.outputs
    model.subgraphs = [graph]
    builder = flatbuffers.Builder(1024)
    builder.Finish(model.Pack(builder), b"TFL3")
    return bytes(builder.Output())


def _tensor(schema: Any, model: Any, tensor: Tensor, name: str) -> Any:
    made = schema.TensorT()
    made.name, made.shape = name, list(tensor.shape)
    made.type = getattr(schema.TensorType, tensor.dtype.upper())
    if tensor.data is not None:
        buffer = schema.BufferT()
        buffer.data = np.frombuffer(np.asarray(tensor.data, tensor.dtype).tobytes(), np.uint8)
        made.buffer = len(model.buffers)
        model.buffers.append(buffer)
    else:
        made.buffer = 0
    if tensor.scale is not None:
        quantization = schema.QuantizationParametersT()
        quantization.scale = [float(one) for one in np.atleast_1d(tensor.scale)]
        quantization.zeroPoint = [int(tensor.zero_point)] * len(quantization.scale)
        quantization.quantizedDimension = tensor.axis
        made.quantization = quantization
    return made


def run_micro(content: bytes, arrays: list[Any], arena: int = 1 << 20) -> Any:
    """What TFLite Micro's reference kernels write for one set of inputs."""
    from tflite_micro.python.tflite_micro import runtime

    with quiet():
        interpreter = runtime.Interpreter.from_bytes(content, arena_size=arena)
        for number, array in enumerate(arrays):
            interpreter.set_input(np.ascontiguousarray(array), number)
        interpreter.invoke()
        return interpreter.get_output(0)


def run_litert(content: bytes, arrays: list[Any]) -> Any:
    """What LiteRT's default kernels (XNNPACK) write."""
    from ai_edge_litert.interpreter import Interpreter

    with quiet():
        interpreter = Interpreter(model_content=content, num_threads=1)
        interpreter.allocate_tensors()
        for details, array in zip(interpreter.get_input_details(), arrays, strict=True):
            interpreter.set_tensor(details["index"], np.ascontiguousarray(array))
        interpreter.invoke()
        return interpreter.get_tensor(interpreter.get_output_details()[0]["index"])


RUNTIMES = {"reference": run_micro, "xnnpack": run_litert}


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Without what C++ writes to the standard error."""
    kept = os.dup(2)
    with tempfile.TemporaryFile() as sink:
        os.dup2(sink.fileno(), 2)
        try:
            yield
        finally:
            os.dup2(kept, 2)
            os.close(kept)


def message_of(content: bytes, arrays: list[Any]) -> str:
    """What TFLite Micro says when it refuses a file; "" where it runs."""
    from tflite_micro.python.tflite_micro import runtime

    kept = os.dup(2)
    with tempfile.TemporaryFile("w+") as sink:
        os.dup2(sink.fileno(), 2)
        try:
            interpreter = runtime.Interpreter.from_bytes(content, arena_size=1 << 18)
            for number, array in enumerate(arrays):
                interpreter.set_input(np.ascontiguousarray(array), number)
            interpreter.invoke()
            refused = False
        except RuntimeError:
            refused = True
        finally:
            os.dup2(kept, 2)
            os.close(kept)
        sink.seek(0)
        return " ".join(sink.read().split()) or "refused without a word" if refused else ""
