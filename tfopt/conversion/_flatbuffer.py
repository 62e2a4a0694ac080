"""Changes to a .tflite file: the one place that writes its flatbuffer."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import numpy as np

# Operators with a kernel -> the positions of data, weights and bias among their inputs.
OPERANDS = {
    "CONV_2D": (0, 1, 2),
    "DEPTHWISE_CONV_2D": (0, 1, 2),
    "FULLY_CONNECTED": (0, 1, 2),
    "TRANSPOSE_CONV": (2, 1, 3),
}


class Flatbuffer:
    """A .tflite file whose tensors and operators can be changed.

    Args:
        content: the bytes of the file.
    """

    def __init__(self, content: bytes) -> None:
        from ai_edge_litert import schema_py_generated as schema

        self.content = content
        self.changed = False
        self.schema = schema
        self.model = schema.ModelT.InitFromPackedBuf(content)
        self.graph = self.model.subgraphs[0]
        self.added: dict[bytes, int] = {}
        self.names = {
            value: name for name, value in vars(schema.BuiltinOperator).items() if isinstance(value, int)
        }

    def kernel_operators(self) -> "Iterator[KernelOperator]":
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
        number = getattr(self.schema.BuiltinOperator, name)
        codes = self.model.operatorCodes
        at = next((i for i, one in enumerate(codes) if one.builtinCode == number), len(codes))
        if at == len(codes):
            code = self.schema.OperatorCodeT()
            code.builtinCode = number
            code.deprecatedBuiltinCode, code.version = min(number, 127), 1
            codes.append(code)
        op.opcodeIndex = at
        op.builtinOptionsType = getattr(self.schema.BuiltinOptions, options)
        op.builtinOptions = getattr(self.schema, f"{options}T")()

    def tensor(self, index: int) -> "MutableTensor":
        """The tensor with this number."""
        return MutableTensor(self, int(index))

    def tensors(self) -> "list[MutableTensor]":
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
        code.builtinCode = code.deprecatedBuiltinCode = builtin
        code.version = 1
        self.model.operatorCodes.append(code)
        return len(self.model.operatorCodes) - 1

    def set_metadata(self, name: str, data: bytes) -> None:
        """Adds an entry to the file's metadata, which runtimes do not read."""
        entry = self.schema.MetadataT()
        entry.name, entry.buffer = name, self.add_buffer(np.frombuffer(data, "uint8"))
        self.model.metadata = [*(self.model.metadata or ()), entry]

    def set_names(self, inputs: Sequence[str], outputs: Sequence[str]) -> None:
        """Puts inputs and outputs in the order of the model, and gives them their names in a signature.

        Args:
            inputs: what to call the inputs, in order.
            outputs: what to call the outputs, in order.
        """
        ends: list[Sequence[int]] = [self.graph.inputs, self.graph.outputs]
        if (
            self.model.signatureDefs
        ):  # in which the converter orders by name: input_0, output_0, output_1, output_10
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
        """The whole file, without the bytes that nothing refers to any more; as it came where nothing changed."""
        if not self.changed:
            return self.content
        used = {tensor.buffer for graph in self.model.subgraphs for tensor in graph.tensors}
        used.update(entry.buffer for entry in self.model.metadata or ())
        for number, buffer in enumerate(self.model.buffers):
            if number not in used:
                buffer.data = None
        builder = _aligned_builder()
        builder.Finish(self.model.Pack(builder), b"TFL3")
        return bytes(builder.Output())


def _aligned_builder() -> Any:
    """Aligns the bytes of buffers to 16, as the schema demands (`force_align`) and the Python package forgets."""
    import flatbuffers

    class AlignedBuilder(flatbuffers.Builder):
        def StartVector(self, elemSize: int, numElems: int, alignment: int) -> Any:
            return super().StartVector(elemSize, numElems, 16 if elemSize == 1 else alignment)

    return AlignedBuilder(1024)


class KernelOperator:
    """An operator of a `Flatbuffer` that has a kernel."""

    def __init__(self, file: Flatbuffer, op: Any, name: str) -> None:
        self.file, self.op, self.name = file, op, name

    def operand(self, which: int) -> "MutableTensor | None":
        """Its data, weights or bias, which may be left out: 0, 1 or 2."""
        position = OPERANDS[self.name][which]
        at = int(self.op.inputs[position]) if position < len(self.op.inputs) else -1
        return MutableTensor(self.file, at) if at >= 0 else None

    def rescale_bias(self) -> None:
        """Puts the bias on the grid of the 32-bit sums: the step of the data times those of the weights."""
        data, weights, bias = (self.operand(which) for which in range(3))
        if data is None or weights is None or bias is None:
            return
        steps = data.scales[0] * weights.scales
        values = bias.data("<i4") * bias.scales
        limits = np.iinfo("int32")
        codes = np.clip(np.round(values / steps), limits.min, limits.max).astype("<i4")
        bias.replace(codes.view("uint8"), steps)

    def store_bias_in_64_bits(self) -> None:
        """Stores the bias as the kernels for 16-bit activations read it."""
        bias = self.operand(2)
        if bias is not None and bias.tensor.type == self.file.schema.TensorType.INT32:
            bias.tensor.type = self.file.schema.TensorType.INT64
            bias.replace(bias.data("<i4").astype("<i8").view("uint8"), bias.scales)


class MutableTensor:
    """A tensor of a `Flatbuffer`."""

    def __init__(self, file: Flatbuffer, index: int) -> None:
        self.file, self.index = file, index
        self.tensor = file.graph.tensors[index]

    @property
    def scales(self) -> np.ndarray:
        """The step of each channel, or one for all; empty without a grid."""
        grid = self.tensor.quantization
        return np.asarray([] if grid is None or grid.scale is None else grid.scale, "float64")

    @property
    def axis(self) -> int:
        """The axis of the channels."""
        return self.tensor.quantization.quantizedDimension

    def data(self, dtype: str) -> np.ndarray:
        """The values of a constant, flat."""
        return np.asarray(self.file.model.buffers[self.tensor.buffer].data, "uint8").view(dtype)

    def codes(self) -> np.ndarray | None:
        """The codes of a constant int8 kernel; None for other tensors."""
        buffer = self.file.model.buffers[self.tensor.buffer]
        is_kernel = self.tensor.type == self.file.schema.TensorType.INT8 and self.scales.size
        if not is_kernel or buffer.data is None:
            return None
        return self.data("int8").reshape(self.tensor.shape).astype("float64")

    def set(self, codes: np.ndarray, scales: np.ndarray, bits: int) -> None:
        """Gives a kernel other codes and steps, 8 or 4 bits a code."""
        flat = codes.reshape(-1)
        if bits == 4:
            flat = np.append(flat, np.zeros(flat.size % 2, "int8")).astype("uint8") & 0xF
            flat = flat[0::2] | flat[1::2] << 4
            self.tensor.type = self.file.schema.TensorType.INT4
        self.replace(flat.view("uint8"), scales)

    def set_float(self, values: np.ndarray) -> None:
        """Gives a kernel float32 numbers in place of codes."""
        self.tensor.type = self.file.schema.TensorType.FLOAT32
        self.tensor.quantization = None
        self.tensor.buffer = self.file.add_buffer(values.astype("<f4").reshape(-1).view("uint8"))

    def to_int16(self) -> None:
        """Makes 8-bit codes 16-bit ones of the same step with zero point 0, a constant's too; floats stay.

        A zero point tells that TFLite fixes the grid: steps of 1/256 from 0 to 1, in 16 bits of 1/32768.
        """
        types = self.file.schema.TensorType
        if self.tensor.type != types.INT8 or not self.scales.size:
            return
        zero_point = int(self.tensor.quantization.zeroPoint[0])
        finer = 128 if zero_point else 1
        constant = self.file.model.buffers[self.tensor.buffer].data is not None
        codes = (self.data("int8").astype("<i2") - zero_point) * finer if constant else None
        self.tensor.type = types.INT16
        self.tensor.quantization.zeroPoint = np.zeros(1, "int64")
        self.set_step(self.scales[0] / finer)
        if codes is not None:
            self.tensor.buffer = self.file.add_buffer(codes.astype("<i2").view("uint8"))

    def set_int16(self, codes: np.ndarray) -> None:
        """Gives a constant 16-bit codes in place of its 8-bit ones, of the same step."""
        self.tensor.type = self.file.schema.TensorType.INT16
        self.tensor.buffer = self.file.add_buffer(codes.reshape(-1).view("uint8"))

    def set_step(self, step: float) -> None:
        """Gives an activation another step."""
        self.file.changed = True
        self.tensor.quantization.scale = np.array([step], "float32")

    def replace(self, data: np.ndarray, scales: np.ndarray) -> None:
        """Gives the tensor bytes of its own, and a grid with zero point 0."""
        self.tensor.buffer = self.file.add_buffer(data)
        grid = self.tensor.quantization
        grid.scale = scales.astype("float32")
        grid.zeroPoint = np.zeros(len(scales), "int64")
        if len(scales) == 1:
            grid.quantizedDimension = 0
