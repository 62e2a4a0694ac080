"""The family's tables: kind of operation -> how many tensors its kernel reads, and what it does to their codes."""

from collections.abc import Callable
from typing import Any

from keras import ops

from tfopt.kernels.reference._arithmetic import add, multiply, squared_difference
from tfopt.kernels.reference._curves import hyperbolic_tangent, log_softmax, sigmoid, softmax
from tfopt.kernels.reference._integers import codes_of
from tfopt.kernels.reference._products import requantize
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
from tfopt.kernels.reference._wide_curves import elu, wide_sigmoid, wide_softmax, wide_tanh

_Function = Callable[[Any, Any, Any, Any], Any]


def _float(codes: Any) -> Any:
    return ops.cast(codes, "float32")


def _codes(kernel: Any, operands: Any) -> tuple[tuple[Any, ...], tuple[Any, ...]]:
    """The codes of the operands, each counted from that of 0.0, and their steps."""
    steps = tuple(source.step() for source in kernel.sources)
    return tuple(codes_of(operand, step) for operand, step in zip(operands, steps, strict=True)), steps


def _of_two(function: Callable, **settings: Any) -> _Function:
    def codes(kernel: Any, x: Any, operands: Any, grid: Any) -> Any:
        return _float(function(*_codes(kernel, operands), grid.step, **settings))

    return codes


def _of_one(function: Callable) -> _Function:
    def codes(kernel: Any, x: Any, operands: Any, grid: Any) -> Any:
        (numbers,), (step,) = _codes(kernel, operands)
        return _float(function(numbers, step, grid.step))

    return codes


def _of_fixed_grid(function: Callable) -> _Function:
    """Of a kernel whose output's grid TFLite fixes."""

    def codes(kernel: Any, x: Any, operands: Any, grid: Any) -> Any:
        (numbers,), (step,) = _codes(kernel, operands)
        return _float(function(numbers, step))

    return codes


def _stored_zero(kernel: Any) -> Any:
    source = kernel.sources[0]
    return source.grid().zero_point - 2.0 ** (source.num_bits - 1)


def _matmul(kernel: Any, x: Any, operands: Any, grid: Any) -> Any:
    left, right = (source.step() for source in kernel.sources)
    sums = ops.round(x / (left * right))
    return _float(requantize(sums, (left, right), grid.step, "Matmul", kernel.sources[0].num_bits))


def _mean(kernel: Any, x: Any, operands: Any, grid: Any) -> Any:
    step = kernel.sources[0].step()
    count = ops.size(operands[0]) // ops.maximum(ops.size(x), 1)
    return _float(mean(ops.round(x * ops.cast(count, "float32") / step), count, step, grid.step))


def _total(kernel: Any, x: Any, operands: Any, grid: Any) -> Any:
    step = kernel.sources[0].step()
    return _float(total(ops.round(x / step), step, grid.step))


def _average(kernel: Any, x: Any, operands: Any, grid: Any) -> Any:
    source = kernel.sources[0]
    return _float(average(x / source.step(), _stored_zero(kernel), source.num_bits))


def _cumulative(kernel: Any, x: Any, operands: Any, grid: Any) -> Any:
    step = kernel.sources[0].step()
    return _float(cumulative(ops.round(x / step), _stored_zero(kernel), step, grid.step))


def _leaky_relu(kernel: Any, x: Any, operands: Any, grid: Any) -> Any:
    (codes,), (step,) = _codes(kernel, operands)
    slope = getattr(kernel, "slope", None)
    if slope is None:
        # Within a digit of the layer's own, which is enough but where a code is next to a half.
        slope = ops.divide_no_nan(x, ops.cast(operands[0], "float32"))
        slope = ops.where(slope > 0, slope, 1.0)
    return _float(leaky_relu(codes, step, grid.step, slope))


def _unit_norm(kernel: Any, x: Any, operands: Any, grid: Any) -> Any:
    (codes,), _ = _codes(kernel, operands)
    return _float(unit_norm(codes))


def _bilinear(kernel: Any, x: Any, operands: Any, grid: Any) -> Any:
    (codes,), _ = _codes(kernel, operands)
    return _float(bilinear(codes, x.shape[1:3], _stored_zero(kernel)))


_MATMULS = dict.fromkeys(("Matmul", "Einsum", "Dot"), (2, _matmul))
_MEANS = dict.fromkeys(
    ("Mean", "GlobalAveragePooling1D", "GlobalAveragePooling2D", "GlobalAveragePooling3D"), (1, _mean)
)
_AVERAGES = dict.fromkeys(("AveragePooling1D", "AveragePooling2D"), (1, _average))

_COMMON = {
    "Multiply": (2, _of_two(multiply)),
    **_MATMULS,
    **_MEANS,
    **_AVERAGES,
    "Sum": (1, _total),
    "Absolute": (1, _of_one(absolute)),
    "relu": (1, _of_one(relu)),
    "relu6": (1, _of_fixed_grid(relu6)),
    "leaky_relu": (1, _leaky_relu),
    "PReLU": (2, _of_two(prelu)),
    "Quantize": (1, _of_one(rescale)),
    "Rsqrt": (1, _of_one(reciprocal_root)),
}

# Of 8-bit codes.
NARROW: dict[str, tuple[int, _Function]] = {
    **_COMMON,
    "Add": (2, _of_two(add)),
    "Subtract": (2, _of_two(add, sign=-1)),
    "SquaredDifference": (2, _of_two(squared_difference)),
    "Cumsum": (1, _cumulative),
    "UnitNormalization": (1, _unit_norm),
    "elu": (1, _of_one(elu)),
    "hard_silu": (1, _of_one(hard_swish)),
    "sigmoid": (1, _of_fixed_grid(sigmoid)),
    "tanh": (1, _of_fixed_grid(hyperbolic_tangent)),
    "softmax": (1, _of_fixed_grid(softmax)),
    "log_softmax": (1, _of_fixed_grid(log_softmax)),
    # Not a kind: of UpSampling2D, Resizing and Resize, those that interpolate so.
    "bilinear": (1, _bilinear),
}

# Of 16-bit codes.
WIDE: dict[str, tuple[int, _Function]] = {
    **_COMMON,
    "Add": (2, _of_two(add, num_bits=16)),
    "Subtract": (2, _of_two(add, num_bits=16, sign=-1)),
    "SquaredDifference": (2, _of_two(squared_difference, num_bits=16)),
    "sigmoid": (1, _of_fixed_grid(wide_sigmoid)),
    "tanh": (1, _of_fixed_grid(wide_tanh)),
    "softmax": (1, _of_fixed_grid(wide_softmax)),
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
