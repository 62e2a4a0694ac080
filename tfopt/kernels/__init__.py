"""What integer kernels do: the table of operations, grids, packing, and a family of roundings per runtime."""

from tfopt.kernels._add_mask import LEFT_OUT, AddMask
from tfopt.kernels._constant_fake_quantize import ConstantFakeQuantize, check_range
from tfopt.kernels._exported_as import (
    folded_norm,
    fused_activation,
    fused_with,
    has_weights,
    is_dense,
    is_depthwise,
    kernel_kind,
    softmax_axis,
)
from tfopt.kernels._families import FAMILIES
from tfopt.kernels._family import Family, KernelRule
from tfopt.kernels._fixed_range import FixedRange
from tfopt.kernels._float_boundary import FloatBoundary
from tfopt.kernels._float_fence import FloatFence
from tfopt.kernels._grids import (
    LARGEST_WEIGHT_CODE,
    Grid,
    activation_grid,
    fake_quantize,
    nudge_range,
    on_grid,
    round_to,
    round_to_grid,
)
from tfopt.kernels._integer_model import (
    IntegerActivations,
    IntegerModel,
    IntegerWeights,
    activation_bits,
    target_of,
)
from tfopt.kernels._kernel import Kernel
from tfopt.kernels._lacking import float_where_lacking, refused
from tfopt.kernels._lstm import LstmWeights, lstm_codes
from tfopt.kernels._lstm_stand_in import LstmStandIn
from tfopt.kernels._once import HeldNumbers, Numbers, once
from tfopt.kernels._operations import (
    JOINED,
    OPERATIONS,
    OWN,
    RECURRENT,
    RELUS,
    SAME,
    OperationRow,
    row_of,
    stays_float,
)
from tfopt.kernels._packing import PACKED_OPERATORS, is_packed
from tfopt.kernels._preprocessing import is_preprocessing, refuse_preprocessing
from tfopt.kernels._range_shapes import restrict_range
from tfopt.kernels._registration import registered_class
from tfopt.kernels._requantize_layer import SLOPES, Requantize
from tfopt.kernels._rsqrt import Rsqrt
from tfopt.kernels._scale_shift import ScaleShift
from tfopt.kernels._step_state import StepState
from tfopt.kernels._targets import TARGETS, Target
from tfopt.kernels._weight_grids import GRANULARITIES, WeightGrid
from tfopt.kernels._weighted import AFFINE, KernelWeights, bias_digits
from tfopt.kernels._widths import Widths

__all__ = [
    "AFFINE",
    "FAMILIES",
    "GRANULARITIES",
    "JOINED",
    "LARGEST_WEIGHT_CODE",
    "LEFT_OUT",
    "OPERATIONS",
    "OWN",
    "PACKED_OPERATORS",
    "RECURRENT",
    "RELUS",
    "SAME",
    "SLOPES",
    "TARGETS",
    "AddMask",
    "ConstantFakeQuantize",
    "Family",
    "FixedRange",
    "FloatBoundary",
    "FloatFence",
    "Grid",
    "HeldNumbers",
    "IntegerActivations",
    "IntegerModel",
    "IntegerWeights",
    "Kernel",
    "KernelRule",
    "KernelWeights",
    "LstmStandIn",
    "LstmWeights",
    "Numbers",
    "OperationRow",
    "Requantize",
    "Rsqrt",
    "ScaleShift",
    "StepState",
    "Target",
    "WeightGrid",
    "Widths",
    "activation_bits",
    "activation_grid",
    "bias_digits",
    "check_range",
    "fake_quantize",
    "float_where_lacking",
    "folded_norm",
    "fused_activation",
    "fused_with",
    "has_weights",
    "is_dense",
    "is_depthwise",
    "is_packed",
    "is_preprocessing",
    "kernel_kind",
    "lstm_codes",
    "nudge_range",
    "on_grid",
    "once",
    "refuse_preprocessing",
    "refused",
    "registered_class",
    "restrict_range",
    "round_to",
    "round_to_grid",
    "row_of",
    "softmax_axis",
    "stays_float",
    "target_of",
]
