"""What reads a mask, in integers: softmax and means over what it leaves, and where the mask itself comes from."""

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
from keras import ops

from tfopt.graph import Node, substitute
from tfopt.kernels import LEFT_OUT, AddMask, FixedRange, softmax_axis
from tfopt.quantization.placement._parts import Parts

# The grid of a softmax of 8 bits.
SHARES = (0.0, 255 / 256)


def masked_softmax(part: Parts, scores: Any, mask: Any, uniform: bool = False) -> Any:
    """`softmax` of the scores that a mask keeps, along the last axis.

    Args:
        part: makes the layers.
        scores: a tensor of the model's bits.
        mask: what broadcasts with them: an array, or a tensor of booleans or whole numbers.
        uniform: whether rows of which nothing is kept become equal shares, as in `keras.ops.dot_product_attention`;
            else 0, as in `keras.layers.Softmax`.

    Returns:
        The shares; None where they cannot be computed in integers.
    """
    if not part.can_widen or "float" in keras.backend.standardize_dtype(mask.dtype):
        return None
    if not isinstance(mask, keras.KerasTensor):
        added: Any = np.where(ops.convert_to_numpy(mask) > 0, np.float32(0.0), np.float32(LEFT_OUT))
        kept = added == 0.0 if (np.max(added, axis=-1) < 0).any() else None
    elif part.num_bits != 8:  # no 16-bit kernel chooses between numbers and a constant
        return None
    else:
        kept = mask if mask.dtype == "bool" else ops.greater(mask, 0)
        added = part.widen(ops.where(kept, 0.0, LEFT_OUT), "widen_mask")
    scores = part("mask", AddMask)(part.widen(scores), added)
    shares = part.narrow(part.activation("softmax", scores, "shares"))
    if part.num_bits == 8:
        shares = part("range", FixedRange, *SHARES)(shares)
    return shares if kept is None or uniform else ops.where(kept, shares, 0.0)


def _softmax(part: Parts, node: Node, *tensors: Any) -> Any:
    """Softmax with a mask, or along another axis than the last; None for both, and without either."""
    axis, last = softmax_axis(node), len(node.output.shape) - 1
    scores, *of_mask = tensors
    mask = of_mask[0] if of_mask else _mask_of(node)
    if mask is None and axis not in (None, 0, last):
        # The kernel computes along the last axis.
        order = list(range(last + 1))
        order[axis], order[last] = last, axis
        return ops.transpose(part.activation("softmax", ops.transpose(scores, order)), order)
    return masked_softmax(part, scores, mask) if mask is not None and axis == last else None


def _mean(part: Parts, node: Node, *tensors: Any) -> Any:
    """The mean of the steps that a mask keeps, 0 where it keeps none; None without a mask.

    A product with the shares `softmax(0 where kept, else -inf)`, each of which is 1 over the number of kept steps.
    """
    op, mask = node.op, _mask_of(node)
    if len(tensors) != 2 or "float" in mask.dtype or op.data_format == "channels_first":
        return None
    if not part.can_widen or part.num_bits != 8:
        return None
    x, kept = tensors[0], ops.expand_dims(ops.cast(tensors[1], "bool"), 1)
    scores = part.widen(ops.where(kept, 0.0, LEFT_OUT), "widen_mask")
    shares = part.activation("softmax", scores, "shares")
    x = part.widen(ops.where(ops.transpose(kept, (0, 2, 1)), x, 0.0))
    mean = part.narrow(ops.matmul(shares, x))
    return mean if op.keepdims else ops.squeeze(mean, 1)


def _mask_of(node: Node) -> Any:
    """The `mask` argument of a call whose second parameter that is."""
    return node.kwargs.get("mask", node.args[1] if len(node.args) > 1 else None)


def _masking(part: Parts, node: Node, x: Any) -> Any:
    """Zeros at steps of which every number is the mask value."""
    kept = ops.any(ops.not_equal(x, float(node.op.mask_value)), axis=-1, keepdims=True)
    return ops.where(kept, x, 0.0)


def _cast(part: Parts, node: Node, x: Any) -> Any:
    """Booleans as the numbers 1 and 0; floats of 16-bit codes as they are, as in a file; None for other types.

    A float of 16 bits holds 8-bit codes, not 16-bit ones.
    """
    if part.num_bits != 8 and "float" in x.dtype and "float" in node.output.dtype:
        return x
    is_number = x.dtype == "bool" and "float" in node.output.dtype and part.num_bits == 8
    return ops.where(x, 1.0, 0.0) if is_number else None


def _compared(function: Callable[[Any, Any], Any], reads_codes: bool = True) -> Callable[..., Any]:
    """A comparison of real numbers; with a number, it is with the code of `x` that is nearest to that.

    Args:
        function: computes it from two tensors.
        reads_codes: whether that is one kernel, which keeps what needs no change.
    """

    def compare(part: Parts, node: Node, *tensors: Any) -> Any:
        if not all("float" in one.dtype for one in tensors):
            return None
        given = list(node.args)
        numbers = [one for one in given if isinstance(one, (int, float))]
        # 0 has a code of its own on every grid.
        if len(tensors) == 1 and len(given) == 2 and any(numbers) and part.num_bits == 8:
            given = [
                tensors[0] if isinstance(one, keras.KerasTensor) else ops.clip(tensors[0], one, one)
                for one in given
            ]
        elif reads_codes:
            return None
        else:
            given = substitute(given, dict(zip(map(id, node.inputs), tensors, strict=True)))
        return function(*given)

    return compare


def _not_equal(x: Any, y: Any) -> Any:
    return ops.logical_or(ops.greater(x, y), ops.less(x, y))


def _equal(x: Any, y: Any) -> Any:
    return ops.logical_and(ops.greater_equal(x, y), ops.less_equal(x, y))


def _any(part: Parts, node: Node, x: Any) -> Any:
    """Whether one of several booleans is true: not all are false."""
    none = ops.all(ops.logical_not(x), axis=node.op.axis, keepdims=node.op.keepdims)
    return ops.logical_not(none)


# Kind of operation -> the TFLite operator that it is, and what takes it apart for a target that lacks the operator.
REDUCTIONS: dict[str, tuple[str, Callable[..., Any]]] = {"Any": ("REDUCE_ANY", _any)}

# Kind of operation -> what it comes apart into.
MASKS: dict[str, Callable[..., Any]] = {
    "Greater": _compared(ops.greater),
    "GreaterEqual": _compared(ops.greater_equal),
    "Less": _compared(ops.less),
    "LessEqual": _compared(ops.less_equal),
    "Cast": _cast,
    "Equal": _compared(_equal, reads_codes=False),
    "GlobalAveragePooling1D": _mean,
    "Masking": _masking,
    "NotEqual": _compared(_not_equal, reads_codes=False),
    "softmax": _softmax,
}
