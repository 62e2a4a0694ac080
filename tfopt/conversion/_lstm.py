"""LSTM: the fused operator is written into the file, where the converter has none for Keras 3."""

from typing import Any

import keras
import numpy as np

from tfopt.conversion._file_layout import kernel_as_stored
from tfopt.conversion._file_parts import MutableTensor
from tfopt.conversion._flatbuffer import Flatbuffer
from tfopt.graph import flatten_layers
from tfopt.kernels import LstmStandIn

# Of the operator's 24 inputs; the others, of peepholes, projections and layer normalization, are left out.
_INPUTS = 24
_KERNELS, _RECURRENT, _BIASES, _STATE, _CELL = range(1, 5), range(5, 9), range(12, 16), 18, 19
_GATES = ("input", "forget", "cell", "output")  # in the order of Keras and of the operator


def write_lstms(file: Flatbuffer, inference: keras.Model) -> None:
    """Makes each operator of an `LstmStandIn` a UNIDIRECTIONAL_SEQUENCE_LSTM.

    Args:
        file: what the converter returned.
        inference: the model that was converted.

    Raises:
        ValueError: the batch size is open.
        RuntimeError: an operator is not in the file.
    """
    for layer in flatten_layers(inference):
        if isinstance(layer, LstmStandIn):
            _write(file, _operator_of(file, layer), layer)


def _operator_of(file: Flatbuffer, layer: LstmStandIn) -> Any:
    for op in file.kernel_operators():
        weights = op.operand(1)
        if weights is None or op.name != "FULLY_CONNECTED":
            continue
        codes = weights.codes()
        if codes is not None and kernel_as_stored(layer.matrix(), op.name, codes, weights.scales) is not None:
            return op.op
    raise RuntimeError(f"The converter did not keep the LSTM {layer.name!r} as one operator.")


def _write(file: Flatbuffer, op: Any, layer: LstmStandIn) -> None:
    """Turns an operator into the LSTM of its input, output and their grids."""
    schema, types = file.schema, file.schema.TensorType
    kernel, recurrent, bias, kernel_steps, recurrent_steps, cell_step = (
        np.asarray(one) for one in layer.held
    )
    source, output, free = file.tensor(op.inputs[0]), file.tensor(op.outputs[0]), int(op.inputs[1])
    signature = source.tensor.shapeSignature
    if signature is not None and len(signature) and signature[0] < 0:
        raise ValueError(
            f"The 'batch_size' argument must be a number for a model with the LSTM {layer.name!r}, whose operator "
            "keeps a state for each sample. Got None instead: leave it out for files that take one sample."
        )
    inputs = np.full(_INPUTS, -1, "int32")
    inputs[0] = source.index
    bias_dtype = "<i4" if source.tensor.type == types.INT8 else "<i8"
    tensor_types = {"int8": types.INT8, "int32": types.INT32, "int64": types.INT64}

    def add(name: str, codes: np.ndarray, step: Any, at: int | None = None) -> int:
        dtype = tensor_types[codes.dtype.name]
        return file.add_tensor(f"{layer.name}/{name}", dtype, codes, float(step), at=at)

    for gate, name in enumerate(_GATES):
        units = slice(gate * layer.units, (gate + 1) * layer.units)
        codes = kernel[:, units].T.astype("int8")
        # The first takes the place of the operator's own matrix.
        inputs[_KERNELS[gate]] = add(name, codes, kernel_steps[gate], None if gate else free)
        codes = recurrent[:, units].T.astype("int8")
        inputs[_RECURRENT[gate]] = add(f"{name}_recurrent", codes, recurrent_steps[gate])
        unit = np.float32(source.scales[0]) * kernel_steps[gate]
        inputs[_BIASES[gate]] = add(f"{name}_bias", bias[units].astype(bias_dtype), unit)
    shape = (source.tensor.shape[0], layer.units)
    inputs[_STATE] = _like(file, f"{layer.name}/state", output, shape, True)
    inputs[_CELL] = file.add_tensor(
        f"{layer.name}/cell_state", types.INT16, shape, float(cell_step), is_variable=True
    )
    # What the gates hold before their curves has a grid of its own with layer normalization alone.
    gates = file.add_tensor(f"{layer.name}/gates", types.FLOAT32, (0,))
    hidden = _like(file, f"{layer.name}/hidden", output, (0,), False)
    op.inputs, op.intermediates = inputs, np.array([*[gates] * len(_GATES), hidden], "int32")
    op.opcodeIndex = file.operator_code("UNIDIRECTIONAL_SEQUENCE_LSTM")
    op.builtinOptionsType = schema.BuiltinOptions.UnidirectionalSequenceLSTMOptions
    op.builtinOptions = schema.UnidirectionalSequenceLSTMOptionsT()
    op.builtinOptions.fusedActivationFunction = schema.ActivationFunctionType.TANH


def _like(
    file: Flatbuffer, name: str, other: MutableTensor, shape: tuple[int, ...], is_variable: bool
) -> int:
    """A tensor on the grid of another."""
    zero_point = int(other.tensor.quantization.zeroPoint[0])
    return file.add_tensor(name, other.tensor.type, shape, other.scales[0], zero_point, is_variable)
