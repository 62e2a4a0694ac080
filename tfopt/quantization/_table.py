"""What the TFLite kernels do with their outputs: one table with a row per operation, data only."""

import dataclasses
from collections.abc import Callable
from typing import Any

import keras

from tfopt.graph import Expansion, Graph, Node, einsum_axes, kind, tensors_in
from tfopt.quantization._register import registered_class

# How an operation's output comes to its grid.
OWN = "own"  # the kernel rounds its result to a grid of its own
SAME = "same"  # the first input's grid: values move, one of them is picked, or the result is rounded to it
JOINED = "joined"  # all inputs and the output are on one grid

RELUS = ("relu", "relu6")
UNIT = (0.0, 255 / 256)


def _always(node: Node) -> bool:
    return True


@dataclasses.dataclass(frozen=True)
class Row:
    """What a TFLite kernel does with its output.

    Attributes:
        output: OWN, SAME or JOINED.
        fixed: the range that TFLite fixes for it, if it does.
        fuses: activations that the kernel applies before it rounds.
        weights: whether the kernel has weights, quantized per channel, into which a batch norm folds.
        halves: where the kernel puts halves (see `round_to_grid`). None for `"even"`, and where the results of a kernel
            that keeps its input's grid are on it already.
        only: whether the row holds for a node; for others there is no kernel.
        wide: whether there is a kernel for 16-bit codes too.
    """

    output: str = OWN
    fixed: tuple[float, float] | None = None
    fuses: tuple[str, ...] = ()
    weights: bool = False
    halves: str | None = None
    only: Callable[[Node], bool] = _always
    wide: Callable[[Node], bool] = _always


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


_WEIGHTS = Row(fuses=RELUS, weights=True)
_ARITHMETIC = Row(fuses=RELUS)
_OWN = Row()
_SAME = Row(SAME)
_JOINED = Row(JOINED, wide=_no_constants)
_AVERAGE = Row(SAME, halves="away")
_CLIPPED = Row(SAME, halves="even")
_RESIZED = Row(SAME, halves="up", only=_setting("interpolation", "nearest", "bilinear"))

# The kind of an operation (see `tfopt.graph.kind`) -> its row. What has no row is an island: computed in float
# between a DEQUANTIZE and a QUANTIZE.
TABLE: dict[str, Row] = {
    # Kernels with weights.
    "Dense": _WEIGHTS,
    "EinsumDense": Row(fuses=RELUS, weights=True, only=lambda node: einsum_axes(node.op) is not None),
    "Conv1D": _WEIGHTS,
    "Conv2D": _WEIGHTS,
    "Conv1DTranspose": _WEIGHTS,
    "Conv2DTranspose": _WEIGHTS,
    "DepthwiseConv1D": _WEIGHTS,
    "DepthwiseConv2D": _WEIGHTS,
    "Embedding": _OWN,
    "PReLU": _OWN,
    # One multiplication and addition per channel, exported as a 1x1 depthwise convolution.
    "BatchNormalization": _ARITHMETIC,
    "LayerScale": _ARITHMETIC,
    "Normalization": _ARITHMETIC,
    "Rescaling": _ARITHMETIC,
    # Arithmetic.
    "Add": _ARITHMETIC,
    "Subtract": _ARITHMETIC,
    "Multiply": _ARITHMETIC,
    "Divide": _ARITHMETIC,
    "TrueDivide": _ARITHMETIC,
    "Matmul": Row(only=_two_inputs),
    "Einsum": Row(only=_two_inputs),
    "Dot": Row(only=_setting("normalize", False)),
    "Absolute": _OWN,
    "Argmax": Row(wide=_never),
    "Exp": _OWN,
    "Log": _OWN,
    "Reciprocal": _OWN,
    "Rsqrt": _OWN,  # but not Sqrt: its int8 kernel rounds down, up to one and a half steps
    "Mean": _OWN,
    "Sum": _OWN,
    "GlobalAveragePooling1D": _OWN,
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
    "softmax": Row(fixed=UNIT, only=_unmasked),
    "log_softmax": Row(fixed=(-255 / 16, 0.0), wide=_never),
    "sigmoid": Row(fixed=UNIT),
    "tanh": Row(fixed=(-1.0, 127 / 128)),
    # What stays on its input's grid.
    "AveragePooling1D": _AVERAGE,
    "AveragePooling2D": _AVERAGE,
    "UpSampling2D": _RESIZED,
    "Resizing": _RESIZED,
    "Resize": _RESIZED,
    "Clip": Row(SAME, halves="even", wide=_never),  # its bounds are constants
    "Flip": _CLIPPED,  # the converter does not know that it moves values only
    "Pad": Row(SAME, halves="even", wide=_pads_zeros),
    "Concatenate": _JOINED,
    "Maximum": _JOINED,
    "Minimum": _JOINED,
    "Stack": _JOINED,
    "Where": _JOINED,
    "Cast": Row(SAME, only=_from_float),
    "Take": Row(SAME, only=_from_float),
}

_MOVES = """
    MaxPooling1D MaxPooling2D GlobalMaxPooling1D GlobalMaxPooling2D GlobalMaxPooling3D Max Min
    Reshape Flatten Ravel Squeeze ExpandDims Transpose Permute Swapaxes Moveaxis Roll
    GetItem Split ArraySplit Unstack Tile Repeat RepeatVector
    ZeroPadding1D ZeroPadding2D ZeroPadding3D Cropping1D Cropping2D Cropping3D UpSampling1D UpSampling3D
    Identity linear Dropout SpatialDropout1D SpatialDropout2D SpatialDropout3D
    AlphaDropout GaussianDropout GaussianNoise ActivityRegularization
"""
TABLE.update(dict.fromkeys(_MOVES.split(), _SAME))


def row_of(node: Node) -> Row | None:
    """The table's row for a node, or None where there is none or the node could not be opened."""
    if registered_class(node.op) is not None:
        return _OWN
    if node.drops:
        return _SAME
    row = None if node.opaque else TABLE.get(kind(node.op))
    return row if row is not None and row.only(node) else None


def close_narrow(graph: Graph) -> Graph:
    """The graph with each operation marked opaque that has a kernel for 8-bit codes alone: it becomes an island."""

    def mark(node: Node) -> Expansion | None:
        row = row_of(node)
        if row is None or row.wide(node):
            return None
        return [dataclasses.replace(node, opaque="LiteRT has no 16-bit kernel for it")], node.outputs

    return graph.map_nodes(mark)


def is_island(node: Node) -> bool:
    """Whether a node computes in float between a DEQUANTIZE and a QUANTIZE."""
    return row_of(node) is None and has_floats(node)


def has_floats(node: Node) -> bool:
    """Whether a node reads or writes floating-point numbers."""
    return any("float" in tensor.dtype for tensor in (*node.inputs, *tensors_in(node.outputs)))
