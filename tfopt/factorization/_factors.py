"""Which layers have factors, what these cost at each rank, and how they are made: a row for each kind of layer."""

import dataclasses
import math
from collections.abc import Callable
from typing import Any

import keras
import numpy as np
from keras import layers

from tfopt.factorization._decompositions import low_rank, product, spectrum, tucker, unfolded
from tfopt.factorization._inputs import Inputs, unweighed, weighed
from tfopt.graph import Node, einsum_axes, einsum_letters, kind

# Bytes in an int8 file besides the kernel: a bias, and a step and a zero point of kernel and bias for each channel;
# and the record of an operation.
_CHANNEL_BYTES, _OPERATION_BYTES = 28, 400


@dataclasses.dataclass(frozen=True)
class Part:
    """What one kernel costs.

    Args:
        values: how many it has.
        outputs: its channels.
        positions: how often it is multiplied with in a sample; None where a size is open.
    """

    values: int
    outputs: int
    positions: int | None

    def cost(self, of: str) -> int:
        """Its `"params"`, `"macs"` or `"bytes"`.

        Raises:
            ValueError: its multiply-accumulates depend on an open size.
        """
        if of == "macs":
            if self.positions is None:
                raise ValueError("open")
            return self.values * self.positions
        return self.values + (of == "bytes") * (self.outputs * _CHANNEL_BYTES + _OPERATION_BYTES)


@dataclasses.dataclass(frozen=True, eq=False)
class Factors:
    """A layer that can be factorized.

    Args:
        op: the layer.
        path: its path in the model.
        kernel: its kernel, as the decomposition takes it: times the root of its inputs' moment, where that is known.
        spectra: the energies of its ranks, one for a matrix, two for a convolution's inputs and outputs.
        whole: what its kernel costs.
        parts: what the factors of some ranks cost.
        product: what these stand for in place of `kernel`.
        split: their kernels.
        make: the layers that hold these, in the order in which they run.
        others: the same layer where it is called again, on tensors of other sizes perhaps.
    """

    op: keras.layers.Layer
    path: str
    kernel: np.ndarray
    spectra: tuple[np.ndarray, ...]
    whole: Part
    parts: Callable[[tuple[int, ...]], list[Part]]
    product: Callable[[tuple[int, ...]], np.ndarray]
    split: Callable[[tuple[int, ...]], tuple[np.ndarray, ...]]
    make: Callable[[tuple[int, ...]], list[layers.Layer]]
    others: "tuple[Factors, ...]" = ()

    def cost(self, ranks: tuple[int, ...] | None, of: str) -> int:
        """What its kernels cost at some ranks; None for the layer as it is."""
        own = sum(part.cost(of) for part in ([self.whole] if ranks is None else self.parts(ranks)))
        return own + sum(call.cost(ranks, of) for call in self.others if of == "macs")


def factors_of(node: Node, inputs: Inputs | None = None) -> Factors | str:
    """The factors of a node's layer, or why it has none; empty for an operation without a kernel.

    Args:
        node: the node.
        inputs: what the layer reads, to keep what it makes of that; None to keep its kernel.
    """
    op = node.op
    rule = RULES.get(kind(op))
    if node.opaque or rule is None:
        kernels = [w for w in getattr(op, "weights", ()) if len(w.shape) > 1]
        return (node.opaque or f"{kind(op)} has no factors") if kernels else ""
    if getattr(op, "quantization_mode", None):
        return "its weights are quantized"
    return rule(node, inputs)


def _matrix(
    node: Node,
    inputs: Inputs | None,
    matrix: np.ndarray,
    positions: tuple[int | None, int | None],
    make: Callable[[tuple[int, ...]], list[layers.Layer]],
    back: Callable[[np.ndarray, np.ndarray], tuple[np.ndarray, ...]] = lambda left, right: (left, right),
) -> Factors:
    """The factors of a layer whose kernel is a matrix; `positions` are those of the first and of the second."""
    (m, n), (before, after) = matrix.shape, positions
    matrix = weighed(matrix, inputs)

    def split(ranks: tuple[int, ...]) -> tuple[np.ndarray, ...]:
        left, right = low_rank(matrix, ranks[0])
        return back(unweighed(left, inputs), right)

    return Factors(
        op=node.op,
        path=node.path,
        kernel=matrix,
        spectra=(spectrum(matrix),),
        whole=Part(m * n, n, after),
        parts=lambda ranks: [Part(m * ranks[0], ranks[0], before), Part(ranks[0] * n, n, after)],
        product=lambda ranks: product(low_rank(matrix, ranks[0])),
        split=split,
        make=make,
    )


def _positions(shape: tuple[int | None, ...]) -> int | None:
    return None if None in shape else math.prod(shape)  # type: ignore[arg-type]


def _again(layer: layers.Layer, **changes: Any) -> layers.Layer:
    """The layer again, with its bias, activation and name, and some arguments changed."""
    return type(layer).from_config({**layer.get_config(), **changes})


def _named(layer: layers.Layer, part: str) -> dict[str, Any]:
    return {"name": f"{layer.name}_{part}", "dtype": layer.dtype_policy}


def _dense(node: Node, inputs: Inputs | None) -> Factors:
    layer, at = node.op, _positions(node.output.shape[1:-1])
    return _matrix(
        node,
        inputs,
        np.asarray(layer.kernel),
        (at, at),
        lambda ranks: [layers.Dense(ranks[0], use_bias=False, **_named(layer, "factor")), _again(layer)],
    )


def _embedding(node: Node, inputs: Inputs | None) -> Factors | str:
    layer = node.op
    if layer.mask_zero:
        return "it makes a mask"
    size = layer.embeddings.shape[1]
    return _matrix(
        node,
        inputs,
        np.asarray(layer.embeddings),
        (0, _positions(node.output.shape[1:-1])),
        lambda ranks: [
            _again(layer, output_dim=ranks[0], name=f"{layer.name}_factor"),
            layers.Dense(size, use_bias=False, name=layer.name, dtype=layer.dtype_policy),
        ],
    )


def _einsum_dense(node: Node, inputs: Inputs | None) -> Factors | str:
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
        first = layers.EinsumDense(inner, (*rows, ranks[0]), **_named(layer, "factor"))
        shape = tuple(sizes[letter] for letter in output[1:])
        return [first, _again(layer, equation=outer, output_shape=shape)]

    at = _positions(rows)
    return _matrix(
        node,
        inputs,
        kernel.transpose(*axes.summed, *axes.kept).reshape(math.prod(summed), -1),
        (at, at),
        make,
        lambda a, b: (a.reshape(*summed, -1), b.reshape(-1, *kept)),
    )


def _convolution(node: Node, inputs: Inputs | None) -> Factors | str:
    layer, kernel = node.op, np.asarray(node.op.kernel)
    if layer.groups > 1:
        return "its groups of channels are apart"
    last = layer.data_format == "channels_last"
    before, after = (
        _positions(tensor.shape[1:-1] if last else tensor.shape[2:])
        for tensor in (node.inputs[0], node.output)
    )
    stock = getattr(layers, kind(layer))
    plain = {"use_bias": False, "data_format": layer.data_format}
    moved = {name: getattr(layer, name) for name in ("strides", "padding", "dilation_rate")}
    pointwise = {"kernel_size": 1, "strides": 1, "padding": "valid", "dilation_rate": 1}
    if math.prod(layer.kernel_size) == 1:
        ones = [1] * len(layer.kernel_size)
        return _matrix(
            node,
            inputs,
            kernel.reshape(kernel.shape[-2:]),
            (after, after),
            lambda ranks: [
                stock(ranks[0], 1, **plain, **moved, **_named(layer, "factor")),
                _again(layer, **pointwise),
            ],
            lambda a, b: (a.reshape(*ones, *a.shape), b.reshape(*ones, *b.shape)),
        )
    return _tucker(node, inputs, kernel, (before, after), plain, moved, pointwise)


def _tucker(
    node: Node,
    read: Inputs | None,
    kernel: np.ndarray,
    positions: tuple[int | None, int | None],
    plain: dict[str, Any],
    moved: dict[str, Any],
    pointwise: dict[str, Any],
) -> Factors:
    """The factors of a convolution: without a matrix for the inputs or the outputs where their rank is full."""
    layer, (before, after) = node.op, positions
    stock, (inputs, outputs) = getattr(layers, kind(layer)), kernel.shape[-2:]
    area, ones = math.prod(layer.kernel_size), [1] * len(layer.kernel_size)
    kernel = weighed(kernel, read)

    def chosen(ranks: tuple[int, ...], first: Any, core: Any, last: Any) -> list[Any]:
        return [*[first] * (ranks[0] < inputs), core, *[last] * (ranks[1] < outputs)]

    def split(ranks: tuple[int, ...]) -> tuple[np.ndarray, ...]:
        first, core, last = tucker(kernel, *ranks)
        first = unweighed(first, read)
        if ranks[0] == inputs:
            core = np.einsum("sa,...ab->...sb", first, core)
        if ranks[1] == outputs:
            core = np.einsum("...ab,bt->...at", core, last)
        return tuple(
            chosen(ranks, first.reshape(*ones, *first.shape), core, last.reshape(*ones, *last.shape))
        )

    def make(ranks: tuple[int, ...]) -> list[layers.Layer]:
        core = stock(ranks[1], layer.kernel_size, **plain, **moved, **_named(layer, "core"))
        return chosen(
            ranks,
            stock(ranks[0], 1, **plain, **_named(layer, "inputs")),
            core if ranks[1] < outputs else _again(layer),
            _again(layer, **pointwise),
        )

    return Factors(
        op=layer,
        path=node.path,
        kernel=kernel,
        spectra=(spectrum(unfolded(kernel, -2)), spectrum(unfolded(kernel, -1))),
        whole=Part(kernel.size, outputs, after),
        parts=lambda ranks: chosen(
            ranks,
            Part(inputs * ranks[0], ranks[0], before),
            Part(area * ranks[0] * ranks[1], ranks[1], after),
            Part(ranks[1] * outputs, outputs, after),
        ),
        product=lambda ranks: product(tucker(kernel, *ranks)),
        split=split,
        make=make,
    )


# Kind of layer -> its factors, or why it has none. A new one adds a row.
RULES: dict[str, Callable[[Node, Inputs | None], Factors | str]] = {
    "Dense": _dense,
    "EinsumDense": _einsum_dense,
    "Embedding": _embedding,
    "Conv1D": _convolution,
    "Conv2D": _convolution,
    "Conv3D": _convolution,
}
