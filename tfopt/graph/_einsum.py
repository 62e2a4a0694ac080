"""The equation of an `EinsumDense`: which axes it sums over, and how to write it as a matrix product."""

import dataclasses
import string
from collections.abc import Sequence
from typing import Any

import keras
from keras import ops

from tfopt.graph._graph import Node


@dataclasses.dataclass(frozen=True)
class EinsumAxes:
    """An einsum of inputs and a kernel that is a matrix product.

    Attributes:
        kept: the kernel's axes that index outputs.
        summed: the kernel's axes that are summed over.
        inputs: order of the inputs' axes that puts the summed ones last, in the order of `summed`.
        outputs: order of the axes of (batch axes, kept axes) that gives the outputs.
    """

    kept: tuple[int, ...]
    summed: tuple[int, ...]
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]

    def along_outputs(self, values: Any, kernel: Any) -> Any:
        """One number per channel, (channels,) in the order of `kept`, in a shape that broadcasts with the outputs."""
        sizes = [kernel.shape[axis] for axis in self.kept]
        batch = [1] * (len(self.outputs) - len(sizes))
        return ops.transpose(ops.reshape(values, (*batch, *sizes)), self.outputs)

    def bias_of_channels(self, bias: Any, kernel: Any) -> Any:
        """The bias of the layer as one number per channel: (channels,) in the order of `kept`."""
        sizes = [kernel.shape[axis] for axis in self.kept]
        rank, bias = len(self.outputs), ops.convert_to_tensor(bias)
        # In the order (batch axes, kept axes), where the batch axes are all of size 1.
        full = ops.reshape(bias, (*[1] * (rank - len(bias.shape)), *bias.shape))
        full = ops.transpose(full, sorted(range(rank), key=self.outputs.__getitem__))
        return ops.reshape(ops.broadcast_to(ops.reshape(full, full.shape[rank - len(sizes) :]), sizes), (-1,))


def einsum_axes(layer: keras.layers.Layer) -> EinsumAxes | None:
    """How a built `EinsumDense` is one product of the inputs with a matrix: a `Dense` between transpositions.

    Every axis of the inputs is either summed over or kept as a batch axis, and every axis of the kernel is either
    summed over or an output.

    Args:
        layer: a built `keras.layers.EinsumDense`.

    Returns:
        The axes, or None if the equation is not such a product (a kernel that differs from sample to sample).

    >>> import keras
    >>> from tfopt.graph import einsum_axes
    >>> layer = keras.layers.EinsumDense("abc,cde->abde", output_shape=(None, 2, 3))
    >>> layer.build((None, 4, 5))
    >>> einsum_axes(layer)
    EinsumAxes(kept=(1, 2), summed=(0,), inputs=(0, 1, 2), outputs=(0, 1, 2, 3))
    """
    left, output = layer.equation.replace(" ", "").split("->")
    inputs, kernel = left.split(",")
    # Axes under an ellipsis come first, in the inputs and the outputs alike.
    inputs, output = inputs.replace("...", "."), output.replace("...", ".")
    if "." in inputs:
        rank = layer.get_build_config()["input_shape"]
        hidden = "".join(chr(0x391 + i) for i in range(len(rank) - len(inputs) + 1))
        inputs, output = inputs.replace(".", hidden), output.replace(".", hidden)
    summed = [label for label in kernel if label in inputs and label not in output]
    kept = [label for label in kernel if label in output and label not in inputs]
    batch = [label for label in inputs if label in output and label not in kernel]
    every = (*inputs, *kernel, *output)
    once = all(len(set(labels)) == len(labels) for labels in (inputs, kernel, output))
    if layer.bias_axes and set(layer.bias_axes) - set(kept):
        return None
    if "." in every or not once or not summed or len(summed) + len(kept) != len(kernel):
        return None
    if (
        len(batch) + len(summed) != len(inputs)
        or sorted(batch + kept) != sorted(output)
        or inputs[0] != output[0]
    ):
        return None
    return EinsumAxes(
        kept=tuple(map(kernel.index, kept)),
        summed=tuple(map(kernel.index, summed)),
        inputs=tuple(map(inputs.index, batch + summed)),
        outputs=tuple(map((batch + kept).index, output)),
    )


def product_equation(node: Node) -> str:
    """A product of two tensors as an equation of `keras.ops.einsum`; "" where the node is none.

    >>> import keras
    >>> from tfopt.graph import capture, product_equation
    >>> x = keras.Input((5, 6))
    >>> (node,) = capture(keras.Model(x, keras.layers.Dot((2, 2))([x, x]))).nodes
    >>> product_equation(node)
    'abc,aec->abe'
    """
    name = type(node.op).__name__
    if node.opaque or name not in ("Einsum", "Dot") or len(node.inputs) != 2:
        return ""
    if name == "Einsum":
        return node.op.subscripts
    axes = node.op.axes if isinstance(node.op.axes, (list, tuple)) else (node.op.axes, node.op.axes)
    ranks = [len(tensor.shape) for tensor in node.inputs]
    left = string.ascii_lowercase[: ranks[0]]
    right = [left[0], *string.ascii_lowercase[ranks[0] + 1 : ranks[0] + ranks[1]]]
    summed = left[axes[0] % ranks[0]]
    right[axes[1] % ranks[1]] = summed
    kept = [letter for letter in (*left, *right[1:]) if letter != summed]
    return f"{left},{''.join(right)}->{''.join(kept)}"


def einsum_shape(layer: keras.layers.Layer, inputs: Sequence[int | None]) -> tuple[int | None, ...] | None:
    """The shape of the outputs, including sizes that Keras leaves open because `output_shape` says None.

    Args:
        layer: a built `keras.layers.EinsumDense`.
        inputs: shape of the inputs.

    Returns:
        A shape, or None where `einsum_axes` is None.
    """
    axes = einsum_axes(layer)
    if axes is None:
        return None
    batch = [inputs[axis] for axis in axes.inputs[: len(inputs) - len(axes.summed)]]
    sizes = [*batch, *(layer.kernel.shape[axis] for axis in axes.kept)]
    return tuple(sizes[axis] for axis in axes.outputs)
