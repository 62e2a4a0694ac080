"""How large the inputs of a layer are: recorded while the model runs on a few batches."""

import contextlib
import math
from collections.abc import Iterator, Sequence
from typing import Any

import keras
from keras import ops

from tfopt.pruning._group import Member
from tfopt.pruning._layouts import equation_labels
from tfopt.pruning._targets import path_of

_L = keras.layers
_LAST: tuple[type, ...] = (_L.Dense, _L.Conv1D, _L.Conv2D, _L.Conv3D, _L.DepthwiseConv1D, _L.DepthwiseConv2D)
_LAST += (_L.Conv1DTranspose, _L.Conv2DTranspose, _L.Conv3DTranspose)


def input_norms(
    members: Sequence[Member], model: keras.Model, batches: Sequence[tuple[Any, Any]]
) -> list[Any]:
    """The root mean square of each input of each layer, in a shape that broadcasts with its kernel.

    Raises:
        ValueError: the layer's class is not known, or it did not run.
    """
    axes = [_input_axes(member.layer) for member in members]
    sums: dict[int, list[Any]] = {id(member.layer): [] for member in members}
    with _recording([member.layer for member in members], sums, axes):
        for x, _ in batches:
            model(x, training=False)
    norms = []
    for member in members:
        found = sums[id(member.layer)]
        if not found:
            raise ValueError(
                f"The 'data' argument of Pruning must make every layer run. Got none that runs "
                f"'{path_of(member.layer)}' instead. Leave the layer out with where=."
            )
        norms.append(_for_kernel(member, ops.sqrt(sum(found) / len(found))))
    return norms


def _input_axes(layer: Any) -> tuple[int, ...]:
    """The axes of a layer's input that are multiplied with the kernel, counted from the end."""
    if isinstance(layer, _LAST):
        first = getattr(layer, "data_format", "channels_last") == "channels_first"
        return (-1 - len(getattr(layer, "kernel_size", ())),) if first else (-1,)
    if isinstance(layer, _L.EinsumDense):
        inputs, kernel, output = equation_labels(layer)
        return tuple(inputs.index(label) - len(inputs) for label in kernel if label not in output)
    raise ValueError(
        "The 'criterion' argument of Pruning must suit the layers: 'wanda' knows the inputs of Dense, EinsumDense and "
        f"convolutions. Got '{path_of(layer)}', {type(layer).__name__}, instead. Leave it out with where=, or use "
        "criterion='magnitude'."
    )


@contextlib.contextmanager
def _recording(
    layers: Sequence[keras.layers.Layer], sums: dict[int, list[Any]], axes: Sequence[tuple[int, ...]]
) -> Iterator[None]:
    """Within this context, each call of a layer records the mean square of its input."""
    for layer, kept in zip(layers, axes, strict=True):
        # An attribute of the object takes precedence over the method of its class.
        layer.call = _recorder(layer.call, sums[id(layer)], kept)
    try:
        yield
    finally:
        for layer in layers:
            del layer.call


def _recorder(call: Any, found: list[Any], kept: tuple[int, ...]) -> Any:
    def recorded(inputs: Any, *args: Any, **kwargs: Any) -> Any:
        squares = ops.square(ops.cast(inputs, "float32"))
        rank = len(squares.shape)
        keep = [axis % rank for axis in kept]
        mean = ops.mean(squares, axis=tuple(axis for axis in range(rank) if axis not in keep))
        # The axes that are left are in the input's order: put them into the kernel's.
        found.append(ops.transpose(mean, [sorted(keep).index(axis) for axis in keep]))
        return call(inputs, *args, **kwargs)

    return recorded


def _for_kernel(member: Member, norm: Any) -> Any:
    _, inputs, outputs = member.layout.matrix_shape
    count = math.prod(norm.shape)
    if count == inputs:
        return ops.reshape(norm, (1, -1, 1))
    # Depthwise: each input has outputs of its own.
    return ops.reshape(ops.repeat(ops.reshape(norm, (-1,)), outputs // count), (1, 1, -1))
