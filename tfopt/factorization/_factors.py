"""Which layers have factors: a row for each kind of layer."""

import math
from collections.abc import Callable

import numpy as np
from keras import layers

from tfopt.factorization._convolutions import convolution_factors
from tfopt.factorization._inputs import Inputs
from tfopt.factorization._parts import Factors, again, matrix_factors, named, positions_of
from tfopt.graph import Node, einsum_axes, einsum_letters, kind


def factors_of(node: Node, inputs: Inputs | None = None, method: str = "tucker") -> Factors | str:
    """The factors of a node's layer, or why it has none; empty for an operation without a kernel.

    Args:
        node: the node.
        inputs: what the layer reads, to keep what it makes of that; None to keep its kernel.
        method: how a convolution is taken apart, a key of `METHODS`.
    """
    op = node.op
    rule = RULES.get(kind(op))
    if node.opaque or rule is None:
        kernels = [w for w in getattr(op, "weights", ()) if len(w.shape) > 1]
        return (node.opaque or f"{kind(op)} has no factors") if kernels else ""
    if getattr(op, "quantization_mode", None):
        return "its weights are quantized"
    return rule(node, inputs, method)


def _dense(node: Node, inputs: Inputs | None, _: str) -> Factors:
    layer, at = node.op, positions_of(node.output.shape[1:-1])
    return matrix_factors(
        node,
        inputs,
        np.asarray(layer.kernel),
        (at, at),
        lambda ranks: [layers.Dense(ranks[0], use_bias=False, **named(layer, "factor")), again(layer)],
    )


def _embedding(node: Node, inputs: Inputs | None, _: str) -> Factors | str:
    layer = node.op
    if layer.mask_zero:
        return "it makes a mask"
    size = layer.embeddings.shape[1]
    return matrix_factors(
        node,
        inputs,
        np.asarray(layer.embeddings),
        (0, positions_of(node.output.shape[1:-1])),
        lambda ranks: [
            again(layer, output_dim=ranks[0], name=f"{layer.name}_factor"),
            layers.Dense(size, use_bias=False, name=layer.name, dtype=layer.dtype_policy),
        ],
    )


def _einsum_dense(node: Node, inputs: Inputs | None, _: str) -> Factors | str:
    layer, axes = node.op, einsum_axes(node.op)
    if axes is None:
        return f"its equation {layer.equation!r} is no product with a matrix"
    kernel = np.asarray(layer.kernel)
    summed, kept = ([kernel.shape[axis] for axis in of] for of in (axes.summed, axes.kept))
    left, letters, output = einsum_letters(layer, len(node.inputs[0].shape))
    within = "".join(letters[axis] for axis in axes.summed)
    batch = "".join(letter for letter in left if letter not in within)
    rank = next(letter for letter in "rzyxwvutsq" if letter not in left + letters + output)

    sizes = dict(zip(left, node.inputs[0].shape, strict=True))
    rows = tuple(sizes[letter] for letter in batch[1:])
    sizes |= {letters[axis]: kernel.shape[axis] for axis in axes.kept}

    def make(ranks: tuple[int, ...]) -> list[layers.Layer]:
        inner = f"{left},{within}{rank}->{batch}{rank}"
        outer = f"{batch}{rank},{rank}{''.join(letters[axis] for axis in axes.kept)}->{output}"
        first = layers.EinsumDense(inner, (*rows, ranks[0]), **named(layer, "factor"))
        shape = tuple(sizes[letter] for letter in output[1:])
        return [first, again(layer, equation=outer, output_shape=shape)]

    at = positions_of(rows)
    return matrix_factors(
        node,
        inputs,
        kernel.transpose(*axes.summed, *axes.kept).reshape(math.prod(summed), -1),
        (at, at),
        make,
        lambda a, b: (a.reshape(*summed, -1), b.reshape(-1, *kept)),
    )


# Kind of layer -> its factors, or why it has none. A new one adds a row.
RULES: dict[str, Callable[[Node, Inputs | None, str], Factors | str]] = {
    "Dense": _dense,
    "EinsumDense": _einsum_dense,
    "Embedding": _embedding,
    "Conv1D": convolution_factors,
    "Conv2D": convolution_factors,
    "Conv3D": convolution_factors,
}
