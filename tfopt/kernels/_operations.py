"""The table of operations: which grid each kernel writes on, what it fuses, and which widths of codes it has.

This page is all one reads to add an operation. The facts are those of the TFLite 8-bit specification
(https://ai.google.dev/edge/litert/conversion/tensorflow/quantization/quantization_spec) and of LiteRT's kernels,
each checked by running the file (`tests/conversion/test_parity.py` has a case for every row).

An operation has one of four places in the integer world:

- **own**: the kernel computes in 32 bits and rounds once, to a grid of its own: convolutions, sums, products, means,
  lookup tables. A quantizer goes behind it. Where the specification fixes that grid (softmax: 1/256 from 0), the row
  says so in `fixed`, and there is nothing to calibrate.
- **same**: the kernel hands codes on: it moves them (reshape, pad), picks some (max pooling, slices), or computes on
  them and rounds to the very grid of its first input (average pooling, resizing). No quantizer; where it rounds, a
  site of the input's quantizer, with `ties` for how the kernel breaks ties.
- **joined**: all inputs and the output are on one grid (concatenation, maximum): their quantizers become one.
- **no row**: LiteRT has no integer kernel. The operation computes in float between a DEQUANTIZE and a QUANTIZE, and the
  report says why; it may still be *decomposed* into operations that have rows (`DECOMPOSITIONS`).

What 8 bits are too few for inside, as the squares of a normalization, computes in 16 between two `Requantize` layers:
the bits are those of a grid (`Widths`), and a kernel writes in as many as it reads.

To add an operation:

1. It keeps its input's grid: add its kind (`tfopt.graph.kind`: Keras' class name) to `_MOVES`, and a case to
   `tests/conversion/cases.py`, which fails until every row has one.
2. It rounds to a grid of its own, and its float result is at most one rounding away from the kernel's: add a row here.
   If the codes then differ from the file's, the kernel rounds in a way of its own: add a rule for its kind to the
   family's table (`tfopt/kernels/xnnpack`), a function from codes to codes, and record it in the golden table.
3. The converter does not make one operator of it: rewrite it in `tfopt/conversion/_lower.py`, and answer what it
   becomes in `_exported_as.py`.
4. It has no kernel for 16-bit codes, or only for some arguments: `int16=`.
"""

import dataclasses
from collections.abc import Callable
from typing import Any

import keras

from tfopt.graph import AUGMENTATIONS, Node, einsum_axes, kind, tensors_in
from tfopt.kernels._registration import registered_class

# How an operation's output comes to its grid.
OWN = "own"  # the kernel rounds its result to a grid of its own
SAME = "same"  # the first input's grid: values move, one of them is picked, or the result is rounded to it
JOINED = "joined"  # all inputs and the output are on one grid

RELUS = ("relu", "relu6")
UNIT = (0.0, 255 / 256)


def _always(node: Node) -> bool:
    return True


@dataclasses.dataclass(frozen=True)
class OperationRow:
    """What a TFLite kernel does with its output.

    Attributes:
        output: OWN, SAME or JOINED.
        fixed: the range that TFLite fixes for it, if it does.
        fuses: activations that the kernel applies before it rounds.
        weights: whether the kernel has weights, quantized per channel, into which a batch norm folds.
        recurrent: whether the kernel has weights and reads what it wrote in the step before: what it fuses lies inside.
        ties: how the kernel breaks ties (see `round_to_grid`). None for `"even"`, and where the results of a kernel
            that keeps its input's grid are on it already.
        only: whether the row holds for a node; for others there is no kernel.
        int16: whether there is a kernel for 16-bit codes too.
    """

    output: str = OWN
    fixed: tuple[float, float] | None = None
    fuses: tuple[str, ...] = ()
    weights: bool = False
    recurrent: bool = False
    ties: str | None = None
    only: Callable[[Node], bool] = _always
    int16: Callable[[Node], bool] = _always


def _setting(name: str, *values: Any) -> Callable[[Node], bool]:
    """Whether the operation's argument has one of these values."""
    return lambda node: getattr(node.op, name, values[0]) in values


def _unmasked(node: Node) -> bool:
    return len(node.inputs) == 1 and node.kwargs.get("mask") is None


def _two_inputs(node: Node) -> bool:
    return len(node.inputs) == 2


def _never(node: Node) -> bool:
    return False


def _no_constants(node: Node) -> bool:
    """Whether all floats are tensors: the converter rounds others to its own 8 bits of the grid that they share."""
    return not any(map(_is_float_constant, keras.tree.flatten((node.args, node.kwargs))))


def _pads_zeros(node: Node) -> bool:
    return node.op.mode != "constant" or not node.kwargs.get("constant_values")


def _is_float_constant(leaf: Any) -> bool:
    if isinstance(leaf, (float, keras.KerasTensor)):
        return isinstance(leaf, float)
    return "float" in keras.backend.standardize_dtype(getattr(leaf, "dtype", "int32"))


def _from_float(node: Node) -> bool:
    return bool(node.inputs) and "float" in node.inputs[0].dtype


_WEIGHTS = OperationRow(fuses=RELUS, weights=True)
_ARITHMETIC = OperationRow(fuses=RELUS)
_OWN = OperationRow()
_SAME = OperationRow(SAME)
_JOINED = OperationRow(JOINED, int16=_no_constants)
_COMPARED = OperationRow(JOINED, int16=_never)
_AVERAGE = OperationRow(SAME, ties="away")
_CLIPPED = OperationRow(SAME, ties="even")
_RESIZED = OperationRow(SAME, ties="up", only=_setting("interpolation", "nearest", "bilinear"))

# The kind of an operation (see `tfopt.graph.kind`) -> its row. What has no row computes in float, between
# a DEQUANTIZE and a QUANTIZE.
OPERATIONS: dict[str, OperationRow] = {
    # Kernels with weights.
    "Dense": _WEIGHTS,
    "EinsumDense": OperationRow(
        fuses=RELUS, weights=True, only=lambda node: einsum_axes(node.op) is not None
    ),
    "Conv1D": _WEIGHTS,
    "Conv2D": _WEIGHTS,
    "Conv1DTranspose": _WEIGHTS,
    "Conv2DTranspose": _WEIGHTS,
    "DepthwiseConv1D": _WEIGHTS,
    "DepthwiseConv2D": _WEIGHTS,
    "Embedding": _OWN,
    "PReLU": _OWN,
    # The operator has int8 weights and a cell of 16 bits (`tfopt.kernels._lstm`).
    "LSTM": OperationRow(recurrent=True),
    # One multiplication and addition per channel, exported as a 1x1 depthwise convolution.
    "BatchNormalization": _ARITHMETIC,
    "LayerScale": _ARITHMETIC,
    "Normalization": _ARITHMETIC,
    "Rescaling": _ARITHMETIC,
    "ScaleShift": _ARITHMETIC,
    "Requantize": _OWN,  # between two grids of different bits
    # Arithmetic.
    "Add": _ARITHMETIC,
    "Subtract": _ARITHMETIC,
    "Multiply": _ARITHMETIC,
    "Divide": _ARITHMETIC,
    "TrueDivide": _ARITHMETIC,
    "Matmul": OperationRow(only=_two_inputs),
    "Einsum": OperationRow(only=_two_inputs),
    "Dot": OperationRow(only=_setting("normalize", False)),
    "Absolute": _OWN,
    "Argmax": OperationRow(int16=_never),
    "Exp": _OWN,
    "Log": _OWN,
    "Reciprocal": _OWN,
    "Rsqrt": _OWN,  # but not Sqrt: its int8 kernel rounds down, up to one and a half steps
    "Mean": _OWN,
    "Sum": _OWN,
    "GlobalAveragePooling1D": OperationRow(only=_unmasked),
    "GlobalAveragePooling2D": _OWN,
    "GlobalAveragePooling3D": _OWN,
    # Activations.
    # Their inputs are rounded already, so a grid of their own would only add a rounding. The converter may write them
    # into the kernel before them: on the same grid that is the same.
    "relu": _CLIPPED,
    "relu6": _CLIPPED,
    "hard_tanh": _CLIPPED,
    "leaky_relu": _OWN,
    "gelu": _OWN,
    "exponential": _OWN,
    "softmax": OperationRow(fixed=UNIT, only=_unmasked),
    "log_softmax": OperationRow(fixed=(-255 / 16, 0.0), int16=_never),
    "sigmoid": OperationRow(fixed=UNIT),
    "tanh": OperationRow(fixed=(-1.0, 127 / 128)),
    # What stays on its input's grid.
    "AveragePooling1D": _AVERAGE,
    "AveragePooling2D": _AVERAGE,
    "UpSampling2D": _RESIZED,
    "Resizing": _RESIZED,
    "Resize": _RESIZED,
    "Clip": OperationRow(SAME, ties="even", int16=_never),  # its bounds are constants
    "Flip": _CLIPPED,  # the converter does not know that it moves values only
    "Pad": OperationRow(SAME, ties="even", int16=_pads_zeros),
    "Concatenate": _JOINED,
    "Maximum": _JOINED,
    "Minimum": _JOINED,
    "Stack": _JOINED,
    "Where": _JOINED,
    # The converter knows no such kernels of NOT_EQUAL and EQUAL (see `placement/_masks`).
    "Greater": _COMPARED,
    "GreaterEqual": _COMPARED,
    "Less": _COMPARED,
    "LessEqual": _COMPARED,
    "AddMask": _SAME,
    "Cast": OperationRow(SAME, only=_from_float),
    "Take": OperationRow(SAME, only=_from_float),
}

_MOVES = """
    MaxPooling1D MaxPooling2D GlobalMaxPooling1D GlobalMaxPooling2D GlobalMaxPooling3D Max Min
    Reshape Flatten Ravel Squeeze ExpandDims Transpose Permute Swapaxes Moveaxis Roll
    DepthToSpace SpaceToDepth GetItem Split ArraySplit Unstack Tile Repeat RepeatVector
    ZeroPadding1D ZeroPadding2D ZeroPadding3D Cropping1D Cropping2D Cropping3D UpSampling1D UpSampling3D
    Identity FixedRange StepState linear Dropout SpatialDropout1D SpatialDropout2D SpatialDropout3D
    AlphaDropout GaussianDropout GaussianNoise ActivityRegularization
"""
OPERATIONS.update(dict.fromkeys([*_MOVES.split(), *AUGMENTATIONS], _SAME))


# Kinds whose kernel reads what it wrote.
RECURRENT = tuple(name for name, row in OPERATIONS.items() if row.recurrent)


def row_of(node: Node) -> OperationRow | None:
    """The table's row for a node, or None where there is none or the node could not be opened."""
    if registered_class(node.op) is not None:
        return _OWN
    if node.drops:
        return _SAME
    row = None if node.opaque else OPERATIONS.get(kind(node.op))
    return row if row is not None and row.only(node) else None


def stays_float(node: Node) -> bool:
    """Whether a node computes in float between a DEQUANTIZE and a QUANTIZE."""
    return row_of(node) is None and has_floats(node)


def has_floats(node: Node) -> bool:
    """Whether a node reads or writes floating-point numbers."""
    return any("float" in tensor.dtype for tensor in (*node.inputs, *tensors_in(node.outputs)))
