"""16-bit activations: the converter is given 8-bit grids of the same steps, then the file gets 16-bit codes.

The converter knows 16-bit grids for a handful of operators, though LiteRT has kernels for most. What it writes depends
on the step of a grid alone, for the zero point of 16-bit codes is 0.
"""

import dataclasses
from collections.abc import Iterator
from typing import Any

import keras
import numpy as np

from tfopt.conversion._file_parts import MutableTensor
from tfopt.conversion._flatbuffer import Flatbuffer
from tfopt.graph import Expansion, Node, flatten_layers
from tfopt.kernels import SLOPES, ConstantFakeQuantize

_HALF = 2.0**15
_WIDE = 16


def to_int8_grid(node: Node) -> Expansion | None:
    """In place of a 16-bit grid one of 8 bits: its middle 256 codes."""
    if not isinstance(node.op, ConstantFakeQuantize) or node.op.num_bits == 8:
        return None
    step = node.op.minimum / -_HALF
    narrow = ConstantFakeQuantize(-128.0 * step, 127.0 * step, name=node.op.name)
    return [dataclasses.replace(node, op=narrow)], node.outputs


def to_int16(file: Flatbuffer, inference: keras.Model, everywhere: bool, narrow_slopes: bool = False) -> None:
    """Gives a file 16-bit activations where 8-bit grids stand for them, of the same steps; weights stay.

    Args:
        file: an integer file, converted from grids of `to_int8_grid`.
        inference: the model that was converted.
        everywhere: whether all activations have 16 bits; else those between two `Requantize` layers.
        narrow_slopes: leave the slopes of PRELU in 8 bits too.
    """
    borders = list(_borders(file))
    if not everywhere and not borders:
        return
    operands = [weights for op in file.kernel_operators() if (weights := op.operand(1)) is not None]
    kernels = {weights.index for weights in operands if weights.codes() is not None}
    if narrow_slopes:
        kernels.update(int(op.inputs[1]) for op in file.graph.operators if file.name(op) == "PRELU")
    wide = set(range(len(file.graph.tensors))) if everywhere else _wide(file, borders, kernels)
    _restore_tables(file, inference, wide)
    for tensor in file.tensors():
        if tensor.index in wide - kernels:
            tensor.to_int16()
    for op, _ in borders:
        file.set_operator(op, "QUANTIZE", "QuantizeOptions")
    _set_kernels(file, wide)


def _set_kernels(file: Flatbuffer, wide: set[int]) -> None:
    """Gives the kernels that write 16-bit codes what they ask for."""
    inside = [op for op in file.graph.operators if int(op.outputs[0]) in wide]
    for op in inside:
        if file.name(op) == "TANH" and file.tensor(op.outputs[0]).scales.size:
            file.tensor(op.outputs[0]).set_step(1.0 / _HALF)
        if file.name(op) in ("ADD", "SUB"):
            # Else a step that happens to be a power of two sends the kernel another way, which takes some shifts only.
            op.builtinOptions.potScaleInt16 = False
    for kernel in file.kernel_operators():
        if int(kernel.op.outputs[0]) in wide:
            kernel.store_bias_in_64_bits()
    file.bypass([op for op in inside if file.name(op) == "QUANTIZE" and _keeps_codes(file, op)])


def _borders(file: Flatbuffer) -> Iterator[tuple[Any, int | None]]:
    """The leaky ReLUs that stand for a `Requantize`, each with the bits that it was given."""
    for op in file.graph.operators:
        if file.name(op) == "LEAKY_RELU":
            yield from ((op, bits) for bits, slope in SLOPES.items() if op.builtinOptions.alpha == slope)


def _wide(file: Flatbuffer, borders: list[tuple[Any, int | None]], kernels: set[int]) -> set[int]:
    """The tensors of 16 bits: what borders write or read, and what other operators read and write with them.

    All that a kernel reads and writes has the same bits.
    """
    found = {int((op.outputs if bits == _WIDE else op.inputs)[0]) for op, bits in borders}
    ends = [op for op, _ in borders]
    inside = [op for op in file.graph.operators if not any(op is end for end in ends)]
    beside = [set(_activations(file, op)) - kernels for op in inside]
    size = 0
    while len(found) > size:
        size = len(found)
        for tensors in beside:
            if tensors & found:
                found |= tensors
    return found


def _activations(file: Flatbuffer, op: Any) -> Iterator[int]:
    for at in map(int, (*op.inputs, *op.outputs)):
        if at >= 0 and file.graph.tensors[at].type == file.schema.TensorType.INT8:
            yield at


def _restore_tables(file: Flatbuffer, inference: keras.Model, wide: set[int]) -> None:
    """Writes the tables of embeddings in 16 bits: on the grid of the output, 8 bits hold a small part of them."""
    tables = [
        np.asarray(layer.embeddings)
        for layer in flatten_layers(inference)
        if isinstance(layer, keras.layers.Embedding)
    ]
    for op in file.graph.operators:
        if file.name(op) == "GATHER" and int(op.outputs[0]) in wide:
            tensor = file.tensor(op.inputs[0])
            codes_16 = next(
                (codes for table in tables if (codes := _int16_codes(tensor, table)) is not None), None
            )
            if codes_16 is not None:
                tensor.set_int16(codes_16)


def _int16_codes(tensor: MutableTensor, table: np.ndarray) -> np.ndarray | None:
    """The 16-bit codes of a table, if the tensor holds it with those codes clipped to 8 bits."""
    narrow = tensor.codes()
    if narrow is None or narrow.shape != table.shape:
        return None
    codes = np.clip(np.round(table / np.float32(tensor.scales[0])), -_HALF, _HALF - 1)
    return codes.astype("<i2") if (np.abs(np.clip(codes, -128, 127) - narrow) <= 1).all() else None


def _keeps_codes(file: Flatbuffer, op: Any) -> bool:
    """Whether a QUANTIZE operator keeps codes and step."""
    source, target = file.tensor(op.inputs[0]), file.tensor(op.outputs[0])
    return source.tensor.type == target.tensor.type and np.array_equal(source.scales, target.scales)
