"""The operators of a .tflite file, and how its flatbuffer becomes plain objects."""

import dataclasses
import math
import re
from typing import Any

import numpy as np

from tfopt.runtimes._tensors import BITS, Tensor, decode, index_bytes

GRID_CHANGES = ("QUANTIZE", "DEQUANTIZE")
# Operators that read or write floats without computing with them.
NOT_COMPUTING = (*GRID_CHANGES, "DENSIFY", "SHAPE", "TFLM_DECODE")
# Constants that do not lie in the file as they are computed with become arrays of their own: of so many values in all.
_UNPACKED = ("int4", "uint4", "int2", "bfloat16")
_MOST_VALUES = 1 << 28


@dataclasses.dataclass(frozen=True, eq=False)
class Operator:
    """One operator of a `TFLiteFile`, in the order in which they run.

    Args:
        name: name in the schema, such as `"CONV_2D"`, or the custom code, such as `"FlexErf"`.
        inputs: the tensors it reads; None where an optional one is left out.
        outputs: the tensors it writes.
        activation: the activation fused into it, such as `"RELU"`, or None.
        is_custom: whether the runtime needs a kernel that is not built in.
        subgraph: 0 for the network itself, more for the bodies of loops and conditions.
        is_edge: whether it reads an input or writes an output of the network.

    Example:

    >>> Operator("FlexErf", (), (), is_custom=True).is_flex
    True
    """

    name: str
    inputs: tuple[Tensor | None, ...]
    outputs: tuple[Tensor, ...]
    activation: str | None = None
    is_custom: bool = False
    subgraph: int = 0
    is_edge: bool = False

    @property
    def is_flex(self) -> bool:
        """Whether it is a TensorFlow op that LiteRT runs only with the Flex delegate."""
        return self.is_custom and self.name.startswith("Flex")

    @property
    def is_float(self) -> bool:
        """Whether it computes on floats: it reads or writes some, and is not one of `NOT_COMPUTING`."""
        touched = [
            tensor for tensor in (*self.inputs, *self.outputs) if tensor is not None and tensor.data is None
        ]
        return self.name not in NOT_COMPUTING and any(tensor.is_float for tensor in touched)


def is_split(content: bytes) -> bool:
    """Whether a .tflite file has constants behind the flatbuffer.

    Args:
        content: the bytes of the file.

    Example: see `parse`.
    """
    from ai_edge_litert import schema_py_generated as schema

    model = schema.Model.GetRootAs(content)
    return any(model.Buffers(number).Offset() > 1 for number in range(model.BuffersLength()))


def parse(content: bytes) -> Any:
    """The schema's `ModelT` of the bytes of a .tflite file, by the schema in the LiteRT wheel.

    Some tools put constants behind the flatbuffer, as files of more than 2 GB must. They are in their buffers here: an
    offset is true of these bytes alone, and not of what is written of the model.

    Args:
        content: the bytes of the file.

    Example:

    >>> import keras, os, pathlib, tempfile, tfopt
    >>> path = os.path.join(tempfile.mkdtemp(), "model.tflite")
    >>> keras.Sequential([keras.Input((2,)), keras.layers.ReLU()]).export(path, format="litert", verbose=False)
    >>> content = pathlib.Path(path).read_bytes()
    >>> len(tfopt.runtimes.parse(content).subgraphs), tfopt.runtimes.is_split(content)
    (1, False)
    """
    from ai_edge_litert import schema_py_generated as schema

    model = schema.ModelT.InitFromPackedBuf(content)
    for buffer in model.buffers or ():
        if buffer.offset > 1:
            buffer.data = np.frombuffer(content, np.uint8, buffer.size, buffer.offset)
        buffer.offset = buffer.size = 0
    return model


def contents(
    model: Any,
) -> tuple[tuple[Tensor, ...], tuple[Tensor, ...], tuple[Operator, ...], tuple[str, ...]]:
    """Inputs, outputs, operators and names of signatures of the schema's `ModelT`, as `parse` gives it."""
    from ai_edge_litert import schema_py_generated as schema

    dtypes = _enum_names(schema.TensorType)
    op_names = _enum_names(schema.BuiltinOperator)
    activations = _enum_names(schema.ActivationFunctionType)
    _check_unpacked(model, dtypes)
    operators, graphs = [], []
    for number, graph in enumerate(model.subgraphs):
        tensors = [_tensor(i, t, model, dtypes[t.type].lower()) for i, t in enumerate(graph.tensors)]
        graphs.append(tensors)
        edges = {*_numbers(graph.inputs), *_numbers(graph.outputs)} if number == 0 else set()
        for op in graph.operators or ():
            code = model.operatorCodes[op.opcodeIndex]
            reads, writes = _numbers(op.inputs), _numbers(op.outputs)
            # The larger one: files before schema 3a hold the code in the deprecated field; larger codes overflow it.
            builtin = op_names[max(code.builtinCode, code.deprecatedBuiltinCode)]
            activation = activations[getattr(op.builtinOptions, "fusedActivationFunction", 0)]
            operators.append(
                Operator(
                    name=code.customCode.decode() if builtin == "CUSTOM" else builtin,
                    inputs=tuple(tensors[i] if i >= 0 else None for i in reads),
                    outputs=tuple(tensors[i] for i in writes),
                    activation=None if activation == "NONE" else activation,
                    is_custom=builtin == "CUSTOM",
                    subgraph=number,
                    is_edge=not edges.isdisjoint((*reads, *writes)),
                )
            )
    main = model.subgraphs[0]
    signature = next((s for s in model.signatureDefs or () if s.subgraphIndex == 0), None)
    inputs = _named(graphs[0], _numbers(main.inputs), signature and signature.inputs)
    outputs = _named_outputs(graphs[0], _numbers(main.outputs), signature)
    named = sorted(model.signatureDefs or (), key=lambda one: one.subgraphIndex)
    signatures = tuple((one.signatureKey or b"").decode() for one in named)
    return tuple(inputs), tuple(outputs), tuple(operators), signatures


def _check_unpacked(model: Any, dtypes: dict[int, str]) -> None:
    """Raises if the arrays of constants take memory that the file names and does not fill."""
    values = 0
    for graph in model.subgraphs:
        decoded = {
            number
            for op in graph.operators or ()
            if model.operatorCodes[op.opcodeIndex].customCode == b"TFLM_DECODE"
            for number in _numbers(op.outputs)
        }
        for number, tensor in enumerate(graph.tensors):
            packed = (
                dtypes[tensor.type].lower() in _UNPACKED and model.buffers[tensor.buffer].data is not None
            )
            if number in decoded or tensor.sparsity is not None or packed:
                values += abs(math.prod(_numbers(tensor.shape)))
    if values > _MOST_VALUES:
        raise ValueError(
            f"its packed constants have {values:,} values, more than the {_MOST_VALUES:,} that are read"
        )


def _tensor(index: int, tensor: Any, model: Any, dtype: str) -> Tensor:
    shape = _numbers(tensor.shape)
    signature = _numbers(tensor.shapeSignature)
    grid = tensor.quantization
    raw = model.buffers[tensor.buffer].data
    raw = raw if raw is not None and len(raw) else None
    places = 0 if tensor.sparsity is None else index_bytes(tensor.sparsity)
    elements = math.prod(shape)
    _check_grid(grid, shape)
    return Tensor(
        index=index,
        name=(tensor.name or b"").decode(),
        shape=shape,
        dtype=dtype,
        scales=tuple(float(s) for s in grid.scale) if grid is not None and grid.scale is not None else (),
        zero_points=_numbers(grid.zeroPoint) if grid is not None and grid.scale is not None else (),
        axis=grid.quantizedDimension if grid is not None else 0,
        data=None if raw is None else decode(raw, dtype, shape, tensor.sparsity),
        nbytes=(elements * BITS.get(dtype, 0) + 7) // 8 if raw is None else len(raw) + places,
        buffer=tensor.buffer,
        open_dims=tuple(dim for dim, size in enumerate(signature) if size < 0),
        is_variable=bool(tensor.isVariable),
        is_sparse=tensor.sparsity is not None,
    )


def _check_grid(grid: Any, shape: tuple[int, ...]) -> None:
    """Raises unless there is a zero point for each step, and one of each, or one for each slice."""
    if grid is None or grid.scale is None or not len(grid.scale):
        return
    steps, zeros, axis = len(grid.scale), len(_numbers(grid.zeroPoint)), grid.quantizedDimension
    sliced = steps == 1 or (0 <= axis < len(shape) and shape[axis] in (steps, 0))
    if not sliced or zeros not in (0, 1, steps):
        raise ValueError(
            f"a tensor of shape {shape} has {steps} steps and {zeros} zero points on axis {axis}"
        )


def _named(tensors: list[Tensor], numbers: tuple[int, ...], entries: Any) -> list[Tensor]:
    names = {entry.tensorIndex: entry.name.decode() for entry in entries or ()}
    return [dataclasses.replace(tensors[i], name=names.get(i, tensors[i].name)) for i in numbers]


def _named_outputs(tensors: list[Tensor], numbers: tuple[int, ...], signature: Any) -> list[Tensor]:
    """The outputs in the order of the signature, which is the model's.

    One tensor may have two names. Where Keras wrote `output_0`, `output_1`, ..., the converter shuffled the entries.
    """
    entries = list((signature and signature.outputs) or ())
    if len(entries) != len(numbers):
        return _named(tensors, numbers, entries)
    outputs = [dataclasses.replace(tensors[e.tensorIndex], name=e.name.decode()) for e in entries]
    counts = [re.fullmatch(r"output_(\d+)", tensor.name) for tensor in outputs]
    if not all(counts):
        return outputs
    return [outputs[i] for i in sorted(range(len(outputs)), key=lambda i: int(counts[i][1]))]  # type: ignore[index]


def _numbers(values: Any) -> tuple[int, ...]:
    return () if values is None else tuple(int(value) for value in values)


def _enum_names(enum: type) -> dict[int, str]:
    return {value: key for key, value in vars(enum).items() if isinstance(value, int)}
