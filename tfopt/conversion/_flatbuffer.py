"""Changes to a .tflite file: the one place that writes its flatbuffer."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import numpy as np

from tfopt.conversion._builder import FileBuilder
from tfopt.conversion._file_parts import OPERANDS, KernelOperator, MutableTensor
from tfopt.runtimes import is_split, parse


class Flatbuffer:
    """A .tflite file whose tensors and operators can be changed.

    Args:
        content: the bytes of the file.
    """

    def __init__(self, content: bytes) -> None:
        from ai_edge_litert import schema_py_generated as schema

        self.content = content
        self.changed = is_split(content)
        self.schema = schema
        self.model = parse(content)
        # An empty list may be absent from a file: operators that read nothing, networks without operators.
        for graph in self.model.subgraphs:
            graph.tensors, graph.operators = graph.tensors or [], graph.operators or []
            for holder in (graph, *graph.operators):
                for name in ("inputs", "outputs"):
                    if getattr(holder, name) is None:
                        setattr(holder, name, np.array([], "int32"))
        self.graph = self.model.subgraphs[0]
        self.added: dict[bytes, int] = {}
        self.names = {
            value: name for name, value in vars(schema.BuiltinOperator).items() if isinstance(value, int)
        }

    def kernel_operators(self) -> Iterator[KernelOperator]:
        """The operators of the network that have a kernel."""
        for op in self.graph.operators:
            if self.name(op) in OPERANDS:
                yield KernelOperator(self, op, self.name(op))

    def name(self, op: Any) -> str:
        """The operator's name in the schema."""
        code = self.model.operatorCodes[op.opcodeIndex]
        return self.names[max(code.builtinCode, code.deprecatedBuiltinCode)]

    def bypass(self, operators: Iterable[Any]) -> None:
        """Takes out operators of one input: what read their output reads their input."""
        self.changed = True
        source = {int(op.outputs[0]): int(op.inputs[0]) for op in operators}

        def origin(at: int) -> int:
            while at in source:
                at = source[at]
            return at

        graph = self.graph
        graph.operators = [op for op in graph.operators if int(op.outputs[0]) not in source]
        for op in graph.operators:
            op.inputs = np.array([origin(int(at)) for at in op.inputs], "int32")
        graph.outputs = np.array([origin(int(at)) for at in graph.outputs], "int32")
        for signature in self.model.signatureDefs or ():
            for entry in signature.outputs:
                entry.tensorIndex = origin(entry.tensorIndex)

    def set_operator(self, op: Any, name: str, options: str) -> None:
        """Makes another operator of one, with the default of its options.

        Args:
            op: the operator.
            name: the other one's name in the schema.
            options: the class of its options there.
        """
        self.changed = True
        op.opcodeIndex = self.operator_code(name)
        op.builtinOptionsType = getattr(self.schema.BuiltinOptions, options)
        op.builtinOptions = getattr(self.schema, f"{options}T")()

    def tensor(self, index: int) -> MutableTensor:
        """The tensor with this number."""
        return MutableTensor(self, int(index))

    def tensors(self) -> list[MutableTensor]:
        """All tensors of the network."""
        return [MutableTensor(self, index) for index in range(len(self.graph.tensors))]

    def add_buffer(self, data: np.ndarray) -> int:
        """The number of a buffer with these bytes."""
        self.changed = True
        key = data.tobytes()
        if key not in self.added:
            buffer = self.schema.BufferT()
            buffer.data = data
            self.model.buffers.append(buffer)
            self.added[key] = len(self.model.buffers) - 1
        return self.added[key]

    def own_buffer(self, tensor: Any) -> Any:
        """The buffer of a tensor, which no other one reads: a new one where it was shared.

        The converter gives tensors of equal bytes one buffer, whatever their shapes and grids are.
        """
        self.changed = True
        readers = (other for graph in self.model.subgraphs for other in graph.tensors)
        if any(other.buffer == tensor.buffer and other is not tensor for other in readers):
            self.model.buffers.append(self.schema.BufferT())
            tensor.buffer = len(self.model.buffers) - 1
        return self.model.buffers[tensor.buffer]

    def add_tensor(
        self,
        name: str,
        dtype: int,
        content: np.ndarray | tuple[int, ...],
        step: float | None = None,
        zero_point: int = 0,
        is_variable: bool = False,
        at: int | None = None,
    ) -> int:
        """The number of a new tensor.

        Args:
            name: its name.
            dtype: a value of the schema's `TensorType`.
            content: the numbers of a constant, or the shape of what is computed.
            step: the step of its grid; None for none.
            zero_point: the code of 0.0.
            is_variable: whether it keeps its value from one call to the next.
            at: the number of a tensor that nothing reads any more, whose place it takes; None for a number of its own.
        """
        tensor = self.schema.TensorT()
        tensor.name, tensor.type, tensor.isVariable, tensor.buffer = name.encode(), dtype, is_variable, 0
        tensor.shape = np.array(content.shape if isinstance(content, np.ndarray) else content, "int32")
        if isinstance(content, np.ndarray):
            tensor.buffer = self.add_buffer(np.ascontiguousarray(content).reshape(-1).view("uint8"))
        if step is not None:
            tensor.quantization = self.schema.QuantizationParametersT()
            tensor.quantization.scale = np.array([step], "float32")
            tensor.quantization.zeroPoint = np.array([zero_point], "int64")
        self.changed = True
        if at is not None:
            self.graph.tensors[at] = tensor
            return at
        self.graph.tensors.append(tensor)
        return len(self.graph.tensors) - 1

    def operator_code(self, name: str) -> int:
        """The number of a builtin operator's code, which is added where the file does not have it."""
        builtin = getattr(self.schema.BuiltinOperator, name)
        for number, code in enumerate(self.model.operatorCodes):
            if max(code.builtinCode, code.deprecatedBuiltinCode) == builtin:
                return number
        code = self.schema.OperatorCodeT()
        # The old field has one byte, and 127 for what does not fit.
        code.builtinCode, code.deprecatedBuiltinCode, code.version = builtin, min(builtin, 127), 1
        self.model.operatorCodes.append(code)
        return len(self.model.operatorCodes) - 1

    def set_metadata(self, name: str, data: bytes) -> None:
        """Adds an entry to the file's metadata, which runtimes do not read."""
        entry = self.schema.MetadataT()
        entry.name, entry.buffer = name, self.add_buffer(np.frombuffer(data, "uint8"))
        self.model.metadata = [*(self.model.metadata or ()), entry]

    def drop_metadata(self, name: str) -> None:
        """Leaves out an entry of the file's metadata."""
        kept = [entry for entry in self.model.metadata or () if entry.name != name.encode()]
        self.changed |= len(kept) < len(self.model.metadata or ())
        self.model.metadata = kept or None

    def set_names(self, inputs: Sequence[str], outputs: Sequence[str]) -> None:
        """Puts inputs and outputs in the order of the model, and gives them their names in a signature.

        Args:
            inputs: what to call the inputs, in order.
            outputs: what to call the outputs, in order.
        """
        ends: list[Sequence[int]] = [self.graph.inputs, self.graph.outputs]
        if self.model.signatureDefs:
            # In it the converter orders by name: input_0, output_0, output_1, output_10.
            old = self.model.signatureDefs[0]
            numbers = {entry.name.decode(): entry.tensorIndex for entry in (*old.inputs, *old.outputs)}
            ends = [
                [numbers[f"input_{at}"] for at in range(len(inputs))],
                [numbers[f"output_{at}"] for at in range(len(outputs))],
            ]
        signature = self.schema.SignatureDefT()
        signature.signatureKey, signature.subgraphIndex = b"serving_default", 0
        signature.inputs, signature.outputs = map(self._entries, (inputs, outputs), ends)
        for entry in signature.inputs:
            self.graph.tensors[entry.tensorIndex].name = b"serving_default_" + entry.name + b":0"
        self.model.signatureDefs = [signature]
        self.graph.inputs, self.graph.outputs = (np.array(end, "int32") for end in ends)
        self.changed = True

    def _entries(self, names: Sequence[str], indices: Sequence[int]) -> list[Any]:
        """Names and numbers of tensors, as a signature has them."""
        entries = []
        for name, index in zip(names, indices, strict=True):
            entry = self.schema.TensorMapT()
            entry.name, entry.tensorIndex = name.encode(), int(index)
            entries.append(entry)
        return entries

    def to_bytes(self) -> bytes:
        """The whole file, without what nothing refers to any more; as it came where nothing changed."""
        if not self.changed:
            return self.content
        self._leave_out_unused_codes()
        used = {tensor.buffer for graph in self.model.subgraphs for tensor in graph.tensors}
        used.update(entry.buffer for entry in self.model.metadata or ())
        for number, buffer in enumerate(self.model.buffers):
            if number not in used:
                buffer.data = None
        large = sum(len(buffer.data) + 32 for buffer in self.model.buffers if buffer.data is not None)
        builder = FileBuilder(max(2 * large if large < _SMALL else large + _SMALL, 1024))
        builder.Finish(self.model.Pack(builder), b"TFL3")
        return bytes(memoryview(builder.Bytes)[builder.Head() :])

    def _leave_out_unused_codes(self) -> None:
        """Runtimes look up each operator in the list when they load a file, and refuse it where they lack one."""
        operators = [op for graph in self.model.subgraphs for op in graph.operators]
        used = sorted({op.opcodeIndex for op in operators})
        self.model.operatorCodes = [self.model.operatorCodes[number] for number in used]
        for op in operators:
            op.opcodeIndex = used.index(op.opcodeIndex)


# Bytes of a file without those of its constants, more or less: a builder that is too small doubles, and copies all.
_SMALL = 2**20
