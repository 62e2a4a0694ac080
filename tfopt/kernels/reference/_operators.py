"""Which integer operators TFLite Micro's Python wheel has, and what it says of those that it refuses.

Recorded from the wheel of October 2026 with `tests/kernels/probes.py`, one file of each operator with all tensors on
codes of 8 or of 16 bits.
"""

# With a kernel for 8-bit codes.
_INT8 = """
    ABS ADD ADD_N ARG_MAX AVERAGE_POOL_2D BATCH_MATMUL BATCH_TO_SPACE_ND BROADCAST_TO CONCATENATION
    CONV_2D CUMSUM DEPTHWISE_CONV_2D DEPTH_TO_SPACE DIV ELU EMBEDDING_LOOKUP EXPAND_DIMS FULLY_CONNECTED
    GATHER GATHER_ND HARD_SWISH L2_NORMALIZATION LEAKY_RELU LOGISTIC LOG_SOFTMAX MAXIMUM MAX_POOL_2D
    MEAN MINIMUM MIRROR_PAD MUL PACK PAD PADV2 PRELU QUANTIZE REDUCE_MAX REDUCE_MIN RELU RELU6 RESHAPE
    RESIZE_BILINEAR RESIZE_NEAREST_NEIGHBOR REVERSE_V2 RSQRT SELECT_V2 SLICE SOFTMAX SPACE_TO_BATCH_ND
    SPACE_TO_DEPTH SPLIT SPLIT_V SQUARED_DIFFERENCE SQUEEZE STRIDED_SLICE SUB SUM TANH TRANSPOSE
    TRANSPOSE_CONV UNPACK ZEROS_LIKE
"""
OPERATORS_INT8 = tuple(_INT8.split())

# With a kernel for 16-bit codes (weights have 8 bits, and so have the slopes of PRELU).
_INT16 = """
    ABS ADD AVERAGE_POOL_2D BATCH_MATMUL BROADCAST_TO CONCATENATION CONV_2D DEPTHWISE_CONV_2D
    EXPAND_DIMS FULLY_CONNECTED LEAKY_RELU LOGISTIC MAXIMUM MAX_POOL_2D MEAN MINIMUM MIRROR_PAD MUL PACK
    PAD PADV2 PRELU QUANTIZE RELU RELU6 RESHAPE RESIZE_NEAREST_NEIGHBOR REVERSE_V2 RSQRT SELECT_V2 SLICE
    SOFTMAX SPLIT SPLIT_V SQUARED_DIFFERENCE SQUEEZE STRIDED_SLICE SUB SUM TANH TRANSPOSE TRANSPOSE_CONV
    UNPACK
"""
OPERATORS_INT16 = tuple(_INT16.split())

# Not in the wheel at all: "Didn't find op for builtin opcode".
ABSENT = ("GELU", "POW", "REDUCE_PROD", "RELU_N1_TO_1", "TILE", "TOPK_V2")

# There for floats alone, and refused on 8-bit codes (on 16-bit ones too): what TFLite Micro says.
REFUSED_INT8 = {
    "CEIL": "input->type != kTfLiteFloat32 (INT8 != FLOAT32)",
    "COS": "input->type != expected_type (INT8 != FLOAT32)",
    "EXP": "input->type != kTfLiteFloat32 (INT8 != FLOAT32)",
    "FLOOR": "input->type != kTfLiteFloat32 (INT8 != FLOAT32)",
    "FLOOR_DIV": "Type 'INT8' is not supported by FLOOR_DIV.",
    "FLOOR_MOD": "Type 'INT8' is not supported by FLOOR_MOD.",
    "L2_POOL_2D": "input->type != kTfLiteFloat32 (INT8 != FLOAT32)",
    "LOG": "input->type != expected_type (INT8 != FLOAT32)",
    "NEG": "Type INT8 (9) not supported.",
    "ROUND": "input->type != kTfLiteFloat32 (INT8 != FLOAT32)",
    "SIN": "input->type != expected_type (INT8 != FLOAT32)",
    "SQRT": "input->type != expected_type (INT8 != FLOAT32)",
    "SQUARE": "input->type != expected_type (INT8 != FLOAT32)",
}

# There for 8-bit codes, and refused on 16-bit ones.
REFUSED_INT16 = {
    "ADD_N": "ADD_N only supports FLOAT32 and INT8, got INT16.",
    "ARG_MAX": "Only float32, uint8_t and int8_t are supported currently, got INT16.",
    "BATCH_TO_SPACE_ND": "Type INT16 (7) not supported.",
    "CUMSUM": "input->type == kTfLiteFloat32 || input->type == kTfLiteInt8 was not true.",
    "DEPTH_TO_SPACE": "data_type == kTfLiteFloat32 || data_type == kTfLiteInt8 was not true.",
    "DIV": "DIV only supports FLOAT32, INT32, quantized INT8 now, got type INT16 (7).",
    "ELU": "ELU only supports float32 and int8 currently, got INT16.",
    "EMBEDDING_LOOKUP": "value->type == kTfLiteFloat32 || value->type == kTfLiteInt8 was not true.",
    "GATHER": "Type 'INT16' is not supported by gather.",
    "GATHER_ND": "Params of type 'INT16' are not supported by gather_nd.",
    "HARD_SWISH": "Unsupported type INT16",
    "L2_NORMALIZATION": "output->type == kTfLiteFloat32 || output->type == kTfLiteInt8 was not true.",
    "LOG_SOFTMAX": "LOG_SOFTMAX only supports float32, int8, got INT16.",
    "REDUCE_MAX": "Only float32 and int8 types are supported.",
    "REDUCE_MIN": "Only float32 and int8 types are supported.",
    "RESIZE_BILINEAR": "Output type is 7, requires float or int8.",
    "SPACE_TO_BATCH_ND": "Type INT16 (7) not supported.",
    "SPACE_TO_DEPTH": "data_type == kTfLiteFloat32 || data_type == kTfLiteInt8 was not true.",
    "ZEROS_LIKE": "ZerosLike only currently supports int64, int32, and float32, got 7.",
}

# There, and wrong: not for use.
WRONG_INT8 = {
    "DIV": "where the quotient is small it shifts 32-bit numbers by more than 31 bits, and writes -128 or 127 for 0",
}

# With a kernel for packed 4-bit weights and 8-bit activations; FULLY_CONNECTED takes one step for all of its weights.
# Others say "Hybrid models are not supported on TFLite Micro."
OPERATORS_INT4_WEIGHTS = ("CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED")
