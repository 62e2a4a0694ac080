"""Lowering of up-sampling: what repeats pixels is one RESIZE_NEAREST_NEIGHBOR."""

import dataclasses
from typing import Any

import keras
from keras import layers, ops

from tfopt.graph import Expansion, Node, inline, kind


class _NearestResize(layers.Layer):
    """TensorFlow's own resizing: Keras repeats rows and columns, which becomes TILE, and TFLite Micro has no TILE."""

    def __init__(self, size: tuple[int, int], **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.size = tuple(size)

    def call(self, x: Any) -> Any:
        import tensorflow as tf

        height, width = x.shape[1] * self.size[0], x.shape[2] * self.size[1]
        return tf.image.resize(x, (height, width), method="nearest")

    def compute_output_spec(self, x: keras.KerasTensor) -> keras.KerasTensor:
        batch, height, width, channels = x.shape
        return keras.KerasTensor((batch, height * self.size[0], width * self.size[1], channels), x.dtype)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "size": self.size}


def resize_for_repeats(node: Node) -> Expansion | None:
    """An `UpSampling1D` or `UpSampling2D` that repeats what it reads, as one operator."""
    if (
        kind(node.op) not in ("UpSampling1D", "UpSampling2D")
        or node.opaque
        or None in node.output.shape[1:-1]
    ):
        return None
    if kind(node.op) == "UpSampling1D":
        resize = _NearestResize((1, node.op.size), name=node.op.name)
        _, length, channels = node.output.shape

        def repeat(x: keras.KerasTensor) -> keras.KerasTensor:
            wide = ops.reshape(x, (-1, 1, *x.shape[1:]))
            return ops.reshape(resize(wide), (-1, length, channels))

        return inline(node, repeat)
    if node.op.interpolation != "nearest" or node.op.data_format != "channels_last":
        return None
    layer = _NearestResize(node.op.size, name=node.op.name)
    return [dataclasses.replace(node, op=layer)], node.outputs
