"""The family's tables: kind of operation -> how many tensors its kernel reads, and what it does to their codes."""

from collections.abc import Callable
from typing import Any

from tfopt._host_ops import ops
from tfopt.kernels._add_mask import masked_codes
from tfopt.kernels._family import KernelRule, Rounding
from tfopt.kernels._fixed_point import code_sums, matmul_sums
from tfopt.kernels.reference._arithmetic import (
    add,
    multiply,
    ratio_of_product,
    ratios_of_squared_difference,
    ratios_of_sum,
    squared_difference,
)
from tfopt.kernels.reference._curves import hyperbolic_tangent, log_softmax, sigmoid, softmax
from tfopt.kernels.reference._int16_curves import elu, int16_sigmoid, int16_softmax, int16_tanh
from tfopt.kernels.reference._integers import codes_of
from tfopt.kernels.reference._products import from_sums
from tfopt.kernels.reference._reductions import (
    average,
    cumulative,
    mean,
    reciprocal_root,
    total,
    unit_norm,
)
from tfopt.kernels.reference._resize import bilinear
from tfopt.kernels.reference._slopes import absolute, hard_swish, leaky_relu, prelu, relu, relu6, rescale


def _float(codes: Any) -> Any:
    return ops.cast(codes, "float32")


def _codes(sources: Any, operands: Any) -> tuple[tuple[Any, ...], tuple[Any, ...]]:
    """The codes of the operands, each counted from that of 0.0, and their steps."""
    steps = tuple(source.step() for source in sources)
    return tuple(codes_of(operand, step) for operand, step in zip(operands, steps, strict=True)), steps


def _of_two(function: Callable, ratios: Callable, **settings: Any) -> KernelRule:
    """Of a kernel that reads two tensors, with ratios of their steps that are computed once."""

    def codes(sources: Any, x: Any, operands: Any, numbers: Any) -> Any:
        return _float(function(_codes(sources, operands)[0], numbers, **settings))

    def numbers(sources: Any, grid: Any) -> Any:
        of_width = {name: value for name, value in settings.items() if name == "num_bits"}
        return ratios(tuple(source.step() for source in sources), grid.step, **of_width)

    return KernelRule(2, codes, numbers)


def _prelu(sources: Any, x: Any, operands: Any, grid: Any) -> Any:
    return _float(prelu(*_codes(sources, operands), grid.step))


def _of_one(function: Callable) -> Rounding:
    def codes(sources: Any, x: Any, operands: Any, grid: Any) -> Any:
        (numbers,), (step,) = _codes(sources, operands)
        return _float(function(numbers, step, grid.step))

    return codes


def _of_fixed_grid(function: Callable) -> Rounding:
    """Of a kernel whose output's grid TFLite fixes."""

    def codes(sources: Any, x: Any, operands: Any, grid: Any) -> Any:
        (numbers,), (step,) = _codes(sources, operands)
        return _float(function(numbers, step))

    return codes


def _stored_zero(sources: Any) -> Any:
    source = sources[0]
    return source.grid().zero_point - 2.0 ** (source.num_bits - 1)


def _matmul(sources: Any, x: Any, operands: Any, grid: Any) -> Any:
    left, right = (source.step() for source in sources)
    return _matmul_of(ops.round(x / (left * right)), sources, grid)


def _wide_matmul(sources: Any, x: Any, operands: Any, grid: Any) -> Any:
    return _matmul_of(matmul_sums(sources, operands), sources, grid)


def _matmul_of(sums: Any, sources: Any, grid: Any) -> Any:
    left, right = (source.step() for source in sources)
    return _float(from_sums(sums, (left, right), grid.step, sources[0].num_bits))


def _mean(sources: Any, x: Any, operands: Any, grid: Any) -> Any:
    step = sources[0].step()
    count = ops.size(operands[0]) // ops.maximum(ops.size(x), 1)
    return _float(mean(code_sums(operands[0], step, x, ops.cast(count, "float32")), count, step, grid.step))


def _total(sources: Any, x: Any, operands: Any, grid: Any) -> Any:
    step = sources[0].step()
    return _float(total(code_sums(operands[0], step, x), step, grid.step))


def _average(sources: Any, x: Any, operands: Any, grid: Any) -> Any:
    source = sources[0]
    return _float(average(x / source.step(), _stored_zero(sources), source.num_bits))


def _cumulative(sources: Any, x: Any, operands: Any, grid: Any) -> Any:
    step = sources[0].step()
    return _float(cumulative(ops.round(x / step), _stored_zero(sources), step, grid.step))


def _leaky_relu(sources: Any, x: Any, operands: Any, grid: Any) -> Any:
    (codes,), (step,) = _codes(sources, operands)
    # Within a digit of the layer's own, which is enough but where a code is next to a half.
    slope = ops.divide_no_nan(x, ops.cast(operands[0], "float32"))
    slope = ops.where(slope > 0, slope, 1.0)
    return _float(leaky_relu(codes, step, grid.step, slope))


def _unit_norm(sources: Any, x: Any, operands: Any, grid: Any) -> Any:
    (codes,), _ = _codes(sources, operands)
    return _float(unit_norm(codes))


def _bilinear(sources: Any, x: Any, operands: Any, grid: Any) -> Any:
    (codes,), _ = _codes(sources, operands)
    return _float(bilinear(codes, x.shape[1:3], _stored_zero(sources)))


_MATMULS = dict.fromkeys(("Matmul", "Einsum", "Dot"), KernelRule(2, _matmul))
_MEANS = dict.fromkeys(
    ("Mean", "GlobalAveragePooling1D", "GlobalAveragePooling2D", "GlobalAveragePooling3D"),
    KernelRule(1, _mean),
)
_AVERAGES = dict.fromkeys(("AveragePooling1D", "AveragePooling2D"), KernelRule(1, _average))

_COMMON = {
    "Multiply": _of_two(multiply, ratio_of_product),
    **_MATMULS,
    **_MEANS,
    **_AVERAGES,
    "Sum": KernelRule(1, _total),
    "Absolute": KernelRule(1, _of_one(absolute)),
    "relu": KernelRule(1, _of_one(relu)),
    "relu6": KernelRule(1, _of_fixed_grid(relu6)),
    "leaky_relu": KernelRule(1, _leaky_relu),
    "PReLU": KernelRule(1, _prelu),
    "Requantize": KernelRule(1, _of_one(rescale)),
    "Rsqrt": KernelRule(1, _of_one(reciprocal_root)),
}

# Of 8-bit codes.
INT8: dict[str, KernelRule] = {
    **_COMMON,
    "Add": _of_two(add, ratios_of_sum),
    "Subtract": _of_two(add, ratios_of_sum, sign=-1),
    "SquaredDifference": _of_two(squared_difference, ratios_of_squared_difference),
    "Cumsum": KernelRule(1, _cumulative),
    "UnitNormalization": KernelRule(1, _unit_norm),
    "elu": KernelRule(1, _of_one(elu)),
    "hard_silu": KernelRule(1, _of_one(hard_swish)),
    "sigmoid": KernelRule(1, _of_fixed_grid(sigmoid)),
    "tanh": KernelRule(1, _of_fixed_grid(hyperbolic_tangent)),
    "softmax": KernelRule(1, _of_fixed_grid(softmax)),
    "log_softmax": KernelRule(1, _of_fixed_grid(log_softmax)),
    "bilinear": KernelRule(1, _bilinear),
}

# Of 16-bit codes.
INT16: dict[str, KernelRule] = {
    "AddMask": KernelRule(2, masked_codes),
    "AddMask of a constant": KernelRule(1, masked_codes),
    **_COMMON,
    "Add": _of_two(add, ratios_of_sum, num_bits=16),
    **dict.fromkeys(("Matmul", "Einsum", "Dot"), KernelRule(2, _wide_matmul)),
    "Subtract": _of_two(add, ratios_of_sum, num_bits=16, sign=-1),
    "SquaredDifference": _of_two(squared_difference, ratios_of_squared_difference, num_bits=16),
    "sigmoid": KernelRule(1, _of_fixed_grid(int16_sigmoid)),
    "tanh": KernelRule(1, _of_fixed_grid(int16_tanh)),
    "softmax": KernelRule(1, _of_fixed_grid(int16_softmax)),
}

# Kind -> its kernel's output step must be above the largest step of its inputs over two to this, by bits of the codes.
_FINEST = {"Add": {8: 19, 16: 14}, "Subtract": {8: 19, 16: 14}, "hard_silu": {8: 7}}
# Sums of 64 bits take no multiplier of 128 or more.
_LARGEST_MULTIPLIER = 127.9


def smallest_step(kind: str, steps: tuple[Any, ...], num_bits: int = 8) -> Any:
    """The smallest step of the output that a kernel takes; 0.0 where any will do.

    Below it ADD and SUB abort the program, and HARD_SWISH refuses to load (micro/kernels/add_common.cc,
    micro/kernels/sub_common.cc, micro/kernels/hard_swish_common.cc).

    Args:
        kind: of the operation, or "weights".
        steps: of what the kernel reads; of one with weights the input's, and the largest of the weights'.
        num_bits: bits of the codes.

    >>> from tfopt.kernels.reference import smallest_step
    >>> float(smallest_step("hard_silu", (0.25,))) * 128 > 0.25
    True
    """
    if kind in _FINEST:
        largest = steps[0] if len(steps) == 1 else ops.maximum(*steps)
        return largest * (1.001 / 2.0 ** _FINEST[kind][num_bits])
    if num_bits > 8 and kind in ("weights", *_MATMULS):
        return steps[0] * steps[1] / _LARGEST_MULTIPLIER
    return 0.0
