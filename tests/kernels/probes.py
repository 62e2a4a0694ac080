"""One file of each operator on integer codes: whether TFLite Micro has a kernel for it, and what it says if not."""

import re

import numpy as np

from tests.kernels.one_operator import Tensor, message_of, one_operator

_SHAPE = (1, 4, 4, 8)
_FIXED = {
    "LOGISTIC": {8: (1 / 256, -128), 16: (2.0**-15, 0)},
    "SOFTMAX": {8: (1 / 256, -128), 16: (2.0**-15, 0)},
    "TANH": {8: (1 / 128, 0), 16: (2.0**-15, 0)},
    "LOG_SOFTMAX": {8: (1 / 16, 127), 16: (1 / 16, 0)},
    "L2_NORMALIZATION": {8: (1 / 128, 0), 16: (2.0**-15, 0)},
}


def _numbers(*numbers: int) -> Tensor:
    return Tensor((len(numbers),), "int32", data=numbers)


_POOL = ("Pool2DOptions", {"filterHeight": 2, "filterWidth": 2, "strideH": 2, "strideW": 2, "padding": 1})
_CONVOLUTION = {"strideH": 1, "strideW": 1, "dilationHFactor": 1, "dilationWFactor": 1}
_BEGIN, _END = _numbers(0, 0, 0, 0), _numbers(1, 2, 2, 8)
_PADS = Tensor((4, 2), "int32", data=[0, 0, 1, 1, 1, 1, 0, 0])

# Operator -> how many inputs of the same shape it has, constants behind them, the outputs' shapes, and its options.
SHAPES: dict[str, tuple] = {
    **{
        name: (1, (), [_SHAPE], (options, {}))
        for name, options in {
            "ABS": "AbsOptions",
            "CEIL": "",
            "COS": "CosOptions",
            "ELU": "",
            "EXP": "ExpOptions",
            "FLOOR": "",
            "GELU": "GeluOptions",
            "HARD_SWISH": "HardSwishOptions",
            "L2_NORMALIZATION": "L2NormOptions",
            "LEAKY_RELU": "LeakyReluOptions",
            "LOG": "",
            "LOGISTIC": "",
            "LOG_SOFTMAX": "LogSoftmaxOptions",
            "NEG": "NegOptions",
            "QUANTIZE": "QuantizeOptions",
            "RELU": "",
            "RELU6": "",
            "RELU_N1_TO_1": "",
            "ROUND": "",
            "RSQRT": "",
            "SIN": "",
            "SQRT": "",
            "SQUARE": "SquareOptions",
            "TANH": "",
            "ZEROS_LIKE": "ZerosLikeOptions",
        }.items()
    },
    **{
        name: (2, (), [_SHAPE], (options, {}))
        for name, options in {
            "ADD": "AddOptions",
            "DIV": "DivOptions",
            "FLOOR_DIV": "FloorDivOptions",
            "FLOOR_MOD": "FloorModOptions",
            "MAXIMUM": "MaximumMinimumOptions",
            "MINIMUM": "MaximumMinimumOptions",
            "MUL": "MulOptions",
            "POW": "PowOptions",
            "SQUARED_DIFFERENCE": "SquaredDifferenceOptions",
            "SUB": "SubOptions",
        }.items()
    },
    "ADD_N": (2, (), [_SHAPE], ("AddNOptions", {})),
    "ARG_MAX": (1, (_numbers(3),), [(1, 4, 4)], ("ArgMaxOptions", {"outputType": 2})),
    "AVERAGE_POOL_2D": (1, (), [(1, 2, 2, 8)], _POOL),
    "MAX_POOL_2D": (1, (), [(1, 2, 2, 8)], _POOL),
    "L2_POOL_2D": (1, (), [(1, 2, 2, 8)], _POOL),
    "BATCH_MATMUL": (2, (), [(1, 4, 4, 4)], ("BatchMatMulOptions", {"adjY": True})),
    "BATCH_TO_SPACE_ND": (
        1,
        (_numbers(1, 1), Tensor((2, 2), "int32", data=[0, 0, 0, 0])),
        [_SHAPE],
        ("BatchToSpaceNDOptions", {}),
    ),
    "SPACE_TO_BATCH_ND": (
        1,
        (_numbers(1, 1), Tensor((2, 2), "int32", data=[0, 0, 0, 0])),
        [_SHAPE],
        ("SpaceToBatchNDOptions", {}),
    ),
    "BROADCAST_TO": (1, (_numbers(2, 4, 4, 8),), [(2, 4, 4, 8)], ("BroadcastToOptions", {})),
    "CONCATENATION": (2, (), [(1, 4, 4, 16)], ("ConcatenationOptions", {"axis": 3})),
    "CUMSUM": (1, (Tensor((1,), "int32", data=[3]),), [_SHAPE], ("CumsumOptions", {})),
    "DEPTH_TO_SPACE": (1, (), [(1, 8, 8, 2)], ("DepthToSpaceOptions", {"blockSize": 2})),
    "SPACE_TO_DEPTH": (1, (), [(1, 2, 2, 32)], ("SpaceToDepthOptions", {"blockSize": 2})),
    "EXPAND_DIMS": (1, (_numbers(0),), [(1, *_SHAPE)], ("ExpandDimsOptions", {})),
    "GATHER": (1, (_numbers(0, 2),), [(1, 2, 4, 8)], ("GatherOptions", {"axis": 1})),
    "GATHER_ND": (1, (Tensor((1, 2), "int32", data=[0, 1]),), [(1, 4, 8)], ("GatherNdOptions", {})),
    "MIRROR_PAD": (1, (_PADS,), [(1, 6, 6, 8)], ("MirrorPadOptions", {})),
    "PAD": (1, (_PADS,), [(1, 6, 6, 8)], ("PadOptions", {})),
    "PACK": (2, (), [(2, *_SHAPE)], ("PackOptions", {"valuesCount": 2, "axis": 0})),
    "UNPACK": (1, (), [(1, 4, 8)] * 4, ("UnpackOptions", {"num": 4, "axis": 1})),
    "MEAN": (1, (_numbers(1, 2),), [(1, 8)], ("ReducerOptions", {})),
    "SUM": (1, (_numbers(1, 2),), [(1, 8)], ("ReducerOptions", {})),
    "REDUCE_MAX": (1, (_numbers(1, 2),), [(1, 8)], ("ReducerOptions", {})),
    "REDUCE_MIN": (1, (_numbers(1, 2),), [(1, 8)], ("ReducerOptions", {})),
    "REDUCE_PROD": (1, (_numbers(1, 2),), [(1, 8)], ("ReducerOptions", {})),
    "RESHAPE": (1, (_numbers(1, 128),), [(1, 128)], ("ReshapeOptions", {"newShape": [1, 128]})),
    "RESIZE_BILINEAR": (
        1,
        (_numbers(8, 8),),
        [(1, 8, 8, 8)],
        ("ResizeBilinearOptions", {"halfPixelCenters": True}),
    ),
    "RESIZE_NEAREST_NEIGHBOR": (1, (_numbers(8, 8),), [(1, 8, 8, 8)], ("ResizeNearestNeighborOptions", {})),
    "REVERSE_V2": (1, (_numbers(1),), [_SHAPE], ("ReverseV2Options", {})),
    "SLICE": (1, (_BEGIN, _END), [(1, 2, 2, 8)], ("SliceOptions", {})),
    "SOFTMAX": (1, (), [_SHAPE], ("SoftmaxOptions", {"beta": 1.0})),
    "SQUEEZE": (1, (), [(4, 4, 8)], ("SqueezeOptions", {"squeezeDims": [0]})),
    "STRIDED_SLICE": (1, (_BEGIN, _END, _numbers(1, 1, 1, 1)), [(1, 2, 2, 8)], ("StridedSliceOptions", {})),
    "TILE": (1, (_numbers(1, 2, 1, 1),), [(1, 8, 4, 8)], ("TileOptions", {})),
    "TOPK_V2": (1, (Tensor((), "int32", data=2),), [(1, 4, 4, 2)] * 2, ("TopKV2Options", {})),
    "TRANSPOSE": (1, (_numbers(0, 2, 1, 3),), [_SHAPE], ("TransposeOptions", {})),
}

_WEIGHTED = ("CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED", "TRANSPOSE_CONV")
_OTHERS = ("EMBEDDING_LOOKUP", "PADV2", "PRELU", "SELECT_V2", "SPLIT", "SPLIT_V")
NAMES = tuple(sorted((*SHAPES, *_WEIGHTED, *_OTHERS)))


def message(name: str, num_bits: int) -> str:
    """What TFLite Micro says when it refuses an operator on codes of so many bits; "" where it has a kernel."""
    text = message_of(*probe(name, num_bits))
    for place in (rf" ?Node {name} \(number 0\).*", r"^\S+\.cc:\d+ ", r" ?Failed to get registration.*"):
        text = re.sub(place, "", text)
    return text


def probe(name: str, num_bits: int) -> tuple[bytes, list[np.ndarray]]:
    """A file of one operator on codes of so many bits, all on one grid where it has a choice, and inputs for it."""
    from tests.kernels.weighted import random_weighted

    if name in _WEIGHTED:
        sample = random_weighted(name, num_bits, True, np.random.default_rng(0))
        return sample.content(), [sample.codes]
    dtype = f"int{num_bits}"
    shape, scale, zero_point = _SHAPE, 0.05, 0
    one = Tensor(shape, dtype, scale, zero_point)
    codes = np.ones(shape, dtype)
    if name in _OTHERS:
        return _other(name, one, codes)
    reads, constants, outputs, (options, settings) = SHAPES[name]
    scale, zero_point = _FIXED.get(name, {}).get(num_bits, (scale, zero_point))
    written = [Tensor(size, dtype, scale, zero_point) for size in outputs]
    if name == "ARG_MAX":
        written = [Tensor(outputs[0], "int32")]
    if name == "TOPK_V2":
        written[1] = Tensor(outputs[1], "int32")
    return one_operator(name, [*[one] * reads, *constants], written, options, **settings), [codes] * reads


def _other(name: str, one: Tensor, codes: np.ndarray) -> tuple[bytes, list[np.ndarray]]:
    shape = one.shape
    if name == "PRELU":
        slopes = Tensor((1, 1, shape[-1]), "int8", 0.01, data=np.ones(shape[-1]))
        return one_operator(name, [one, slopes], [one]), [codes]
    if name == "SELECT_V2":
        mask = Tensor(shape, "bool")
        content = one_operator(name, [mask, one, one], [one], "SelectV2Options")
        return content, [np.ones(shape, "bool"), codes, codes]
    if name == "PADV2":
        value = Tensor((1,), one.dtype, one.scale, data=[1])
        padded = Tensor((1, 6, 6, 8), one.dtype, one.scale)
        return one_operator(name, [one, _PADS, value], [padded], "PadV2Options"), [codes]
    if name == "EMBEDDING_LOOKUP":
        table = Tensor((4, 8), one.dtype, one.scale, data=np.ones((4, 8)))
        return one_operator(name, [_numbers(1), table], [Tensor((1, 8), one.dtype, one.scale)]), []
    half = Tensor((1, 2, 4, 8), one.dtype, one.scale)
    if name == "SPLIT":
        axis = Tensor((1,), "int32", data=[1])
        return one_operator(name, [axis, one], [half, half], "SplitOptions", numSplits=2), [codes]
    inputs = [one, _numbers(2, 2), Tensor((1,), "int32", data=[1])]
    return one_operator(name, inputs, [half, half], "SplitVOptions", numSplits=2), [codes]
