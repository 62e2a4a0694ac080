"""Lowering of up-sampling: what repeats pixels is one RESIZE_NEAREST_NEIGHBOR."""

import dataclasses
from typing import Any

import keras
from keras import layers, ops

from tfopt.graph import Expansion, Node, inline, kind


class _Resize(layers.Layer):
    """TensorFlow's own resizing, also of sizes that are open.

    Keras repeats rows and columns, which becomes TILE, and TFLite Micro has no TILE; with an open size it loses the
    number of channels, or cannot be traced.
    """

    def __init__(self, size: tuple[int, int], method: str = "nearest", **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.size = tuple(size)
        self.method = method

    def call(self, x: Any) -> Any:
        import tensorflow as tf

        known, found = x.shape[1:3], tf.shape(x)[1:3]
        sizes = [
            (found[axis] if side is None else side) * times
            for axis, (side, times) in enumerate(zip(known, self.size, strict=True))
        ]
        return tf.image.resize(x, sizes, method=self.method)

    def compute_output_spec(self, x: keras.KerasTensor) -> keras.KerasTensor:
        return keras.KerasTensor(_resized(x.shape, self.size), x.dtype)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "size": self.size, "method": self.method}


def _resized(shape: tuple[int | None, ...], size: tuple[int, ...]) -> tuple[int | None, ...]:
    batch, *sides, channels = shape
    grown = (None if side is None else side * times for side, times in zip(sides, size, strict=True))
    return (batch, *grown, channels)


def resize_for_repeats(node: Node) -> Expansion | None:
    """An `UpSampling1D` or `UpSampling2D` that repeats what it reads, as one operator; or any of an open size."""
    if kind(node.op) not in ("UpSampling1D", "UpSampling2D") or node.opaque:
        return None
    is_open = None in node.output.shape[1:-1]
    if kind(node.op) == "UpSampling1D":
        resize = _Resize((1, node.op.size), name=node.op.name)
        _, length, channels = node.output.shape

        def repeat(x: keras.KerasTensor) -> keras.KerasTensor:
            if is_open:
                return ops.squeeze(resize(ops.expand_dims(x, 1)), 1)
            wide = ops.reshape(x, (-1, 1, *x.shape[1:]))
            return ops.reshape(resize(wide), (-1, length, channels))

        return inline(node, repeat)
    method = node.op.interpolation
    if node.op.data_format != "channels_last" or (method != "nearest" and not is_open):
        return None
    return [dataclasses.replace(node, op=_Resize(node.op.size, method, name=node.op.name))], node.outputs
