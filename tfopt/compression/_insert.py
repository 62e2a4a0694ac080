"""Decoders in front of the operators that read a compressed kernel."""

import copy
from collections.abc import Mapping
from typing import Any

import numpy as np

from tfopt.coding import Encoded
from tfopt.conversion import Flatbuffer


def insert_decoders(file: Flatbuffer, kernels: Mapping[int, Encoded], decoder: str) -> dict[int, list[int]]:
    """Puts compressed kernels in the place of constants, and a decoder right in front of each operator that reads one.

    What a decoder writes lives until the next operator has run, so that kernels share their memory over time; an
    operator of several kernels has one decoder for all of them.

    Args:
        file: the file.
        kernels: compressed kernels, by the number of the tensor in the network.
        decoder: the name of the custom operator.

    Returns:
        The tensors that decoders write for each kernel, by its number.
    """
    graph = file.graph
    code = _custom(file, decoder)
    constants: dict[bytes, int] = {}
    written: dict[int, list[int]] = {number: [] for number in kernels}
    operators = []
    for op in graph.operators:
        read = [number for number in dict.fromkeys(np.asarray(op.inputs).tolist()) if number in kernels]
        if read:
            inputs = [
                _constant(file, constants, part)
                for number in read
                for part in (kernels[number].stream, kernels[number].ancillary)
            ]
            outputs = [_output(file, number, written[number]) for number in read]
            places = dict(zip(read, outputs, strict=True))
            op.inputs = np.array([places.get(at, at) for at in np.asarray(op.inputs).tolist()], "int32")
            operators.append(_operator(file, code, inputs, outputs))
        operators.append(op)
    graph.operators = operators
    file.changed = True
    return written


def _output(file: Flatbuffer, number: int, written: list[int]) -> int:
    """The tensor that a decoder writes: the kernel's own for the first reader, a copy of it for each other."""
    graph = file.graph
    if written:
        graph.tensors.append(copy.copy(graph.tensors[number]))
        number = len(graph.tensors) - 1
    graph.tensors[number].buffer = 0
    written.append(number)
    return number


def _constant(file: Flatbuffer, known: dict[bytes, int], content: bytes) -> int:
    """The number of a tensor of bytes."""
    if content not in known:
        tensor = file.schema.TensorT()
        tensor.shape = np.array([len(content)], "int32")
        tensor.type = file.schema.TensorType.UINT8
        tensor.buffer = file.add_buffer(np.frombuffer(content, "uint8"))
        file.graph.tensors.append(tensor)
        known[content] = len(file.graph.tensors) - 1
    return known[content]


def _operator(file: Flatbuffer, code: int, inputs: list[int], outputs: list[int]) -> Any:
    operator = file.schema.OperatorT()
    operator.opcodeIndex = code
    operator.inputs, operator.outputs = np.array(inputs, "int32"), np.array(outputs, "int32")
    return operator


def _custom(file: Flatbuffer, name: str) -> int:
    """The number of a custom operator among the file's operators, which it is added to."""
    code = file.schema.OperatorCodeT()
    code.builtinCode = code.deprecatedBuiltinCode = file.schema.BuiltinOperator.CUSTOM
    code.customCode = name.encode()
    code.version = 1
    file.model.operatorCodes.append(code)
    return len(file.model.operatorCodes) - 1
