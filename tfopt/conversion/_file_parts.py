"""The parts of a .tflite file that is being changed: operators with a kernel, and tensors."""

from typing import Any

import numpy as np

from tfopt._host_ops import on_host
from tfopt.kernels import bias_digits

# Operators with a kernel -> the positions of data, weights and bias among their inputs.
OPERANDS = {
    "CONV_2D": (0, 1, 2),
    "DEPTHWISE_CONV_2D": (0, 1, 2),
    "FULLY_CONNECTED": (0, 1, 2),
    "TRANSPOSE_CONV": (2, 1, 3),
}


class KernelOperator:
    """An operator of a `tfopt.conversion.Flatbuffer` that has a kernel."""

    def __init__(self, file: Any, op: Any, name: str) -> None:
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
            with on_host():
                codes = np.asarray(bias_digits(bias.data("<i4"))).astype("<i8")
            bias.replace(codes.view("uint8"), bias.scales)


class MutableTensor:
    """A tensor of a `tfopt.conversion.Flatbuffer`."""

    def __init__(self, file: Any, index: int) -> None:
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

    @property
    def is_int8_constant(self) -> bool:
        """Whether it is a constant of int8 codes."""
        is_int8 = self.tensor.type == self.file.schema.TensorType.INT8 and self.scales.size > 0
        return is_int8 and self.file.model.buffers[self.tensor.buffer].data is not None

    def codes(self) -> np.ndarray | None:
        """The codes of a constant int8 kernel; None for other tensors."""
        if not self.is_int8_constant:
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

    def fill(self, codes: np.ndarray, scales: np.ndarray) -> None:
        """Gives a kernel other int8 codes, and steps: in place of its bytes where no other tensor reads them."""
        self.file.own_buffer(self.tensor).data = codes.reshape(-1).view("uint8")
        self.tensor.quantization.scale = scales.astype("float32")

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
