"""Functions of `keras.ops` that are a few simpler ones: moves of pixels, constants, and some of exp and log."""

from collections.abc import Callable
from typing import Any

from keras import ops

from tfopt.graph import Node
from tfopt.quantization.placement._normalizations import over_last_axis
from tfopt.quantization.placement._parts import Parts


def _rot90(part: Parts, node: Node, x: Any) -> Any:
    """Quarter turns, as flips and a transposition."""
    first, second = (axis % len(x.shape) for axis in node.op.axes)
    order = list(range(len(x.shape)))
    order[first], order[second] = second, first
    turns = node.op.k % 4
    if turns == 1:
        return ops.transpose(ops.flip(x, axis=second), order)
    if turns == 3:
        return ops.flip(ops.transpose(x, order), axis=second)
    return ops.flip(ops.flip(x, axis=first), axis=second) if turns == 2 else None


def _before(first: int | None, last: int | None, missing: int) -> int:
    """What lies before an image, of what lies before and behind it."""
    return first if first is not None else missing - (last or 0)


def _crop(part: Parts, node: Node, x: Any) -> Any:
    """A crop as a slice."""
    op, (height, width) = node.op, node.output.shape[-3:-1]
    if op.data_format != "channels_last" or None in (*x.shape[-3:], height, width):
        return None
    top = _before(op.top_cropping, op.bottom_cropping, x.shape[-3] - height)
    left = _before(op.left_cropping, op.right_cropping, x.shape[-2] - width)
    return x[..., top : top + height, left : left + width, :]


def _pad(part: Parts, node: Node, x: Any) -> Any:
    """Zeros around an image."""
    op, (height, width) = node.op, node.output.shape[-3:-1]
    if op.data_format != "channels_last" or len(x.shape) != 4 or None in (*x.shape[1:], height, width):
        return None
    rows, columns = height - x.shape[1], width - x.shape[2]
    top = _before(op.top_padding, op.bottom_padding, rows)
    left = _before(op.left_padding, op.right_padding, columns)
    return ops.pad(x, ((0, 0), (top, rows - top), (left, columns - left), (0, 0)))


def _pair(value: Any) -> tuple[int, int]:
    return (value, value) if isinstance(value, int) else tuple(value)


def _patches(part: Parts, node: Node, x: Any) -> Any:
    """Patches of an image: for each place in a patch a slice, side by side in the channels."""
    op = node.op
    if op.data_format != "channels_last" or len(x.shape) != 4 or None in x.shape[1:]:
        return None
    size, dilation = _pair(op.size), _pair(op.dilation_rate or 1)
    strides = _pair(op.strides or size)
    counts = node.output.shape[1:3]
    if op.padding == "same":
        missing = [
            max(0, (count - 1) * stride + rate * (side - 1) + 1 - length)
            for count, stride, rate, side, length in zip(
                counts, strides, dilation, size, x.shape[1:3], strict=True
            )
        ]
        x = ops.pad(x, ((0, 0), *((one // 2, one - one // 2) for one in missing), (0, 0)))
    spans = [
        [slice(at * rate, at * rate + (count - 1) * stride + 1, stride) for at in range(side)]
        for count, stride, rate, side in zip(counts, strides, dilation, size, strict=True)
    ]
    return ops.concatenate([x[:, rows, columns] for rows in spans[0] for columns in spans[1]], axis=-1)


def _filled(number: float | None) -> Callable[..., Any]:
    """A constant of the shape of a tensor; a channel of ones beside an image, as in CoordConv."""

    def fill(part: Parts, node: Node, x: Any) -> Any:
        value = node.args[1] if number is None and len(node.args) > 1 else number
        are_real = "float" in node.output.dtype and "float" in x.dtype
        if not isinstance(value, (int, float)) or not are_real or len(x.shape) > 4:
            return None
        return part.affine("", x, 0.0, float(value))

    return fill


def _same(part: Parts, node: Node, x: Any) -> Any:
    """What is real already."""
    return part.affine("", x, 1.0) if len(x.shape) <= 4 else None


def _log1p(part: Parts, node: Node, x: Any) -> Any:
    return ops.log(part.affine("plus_1", x, 1.0, 1.0))


def _expm1(part: Parts, node: Node, x: Any) -> Any:
    return part.affine("minus_1", ops.exp(x), 1.0, -1.0)


def _reduced_axes(op: Any, rank: int) -> list[int] | None:
    """The axes that an operation reduces; None where samples are among them."""
    if op.axis is None:
        return None
    axes = [axis % rank for axis in (op.axis if isinstance(op.axis, (list, tuple)) else [op.axis])]
    return axes if axes and 0 not in axes else None


def _log_sum_exp(part: Parts, node: Node, x: Any) -> Any:
    """`log(sum(exp(x - max(x)))) + max(x)`."""
    axes = _reduced_axes(node.op, len(x.shape))
    if axes is None:
        return None
    largest = ops.max(x, axis=axes, keepdims=True)
    total = ops.sum(ops.exp(part.difference("below_max", x, largest)), axis=axes, keepdims=True)
    y = part.add("", ops.log(total), largest)
    return y if node.op.keepdims else ops.squeeze(y, axes)


def log_sum_exp(part: Parts, node: Node, x: Any) -> Any:
    """`max(x) - max(log_softmax(x))`, for targets that have neither EXP nor LOG of integers."""
    axes = _reduced_axes(node.op, len(x.shape))
    if axes is None or part.num_bits != 8:
        return None

    def of_last_axis(x: Any) -> Any:
        shares = ops.max(part.activation("log_softmax", x), axis=-1, keepdims=True)
        return part.difference("", ops.max(x, axis=-1, keepdims=True), shares)

    y = over_last_axis(x, axes, of_last_axis)
    return y if y is None or node.op.keepdims else ops.squeeze(y, axes)


# Kind of operation -> what it comes apart into.
SIMPLER: dict[str, Callable[..., Any]] = {
    "CropImages": _crop,
    "Expm1": _expm1,
    "ExtractPatches": _patches,
    "FullLike": _filled(None),
    "Log1p": _log1p,
    "Logsumexp": _log_sum_exp,
    "OnesLike": _filled(1.0),
    "PadImages": _pad,
    "Real": _same,
    "Rot90": _rot90,
    "ZerosLike": _filled(0.0),
}
