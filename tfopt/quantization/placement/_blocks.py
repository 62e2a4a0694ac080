"""Blocks of pixels to channels and back: reshapes and a transposition, whose kernels take codes of any width."""

from typing import Any

from keras import ops

from tfopt.graph import Node
from tfopt.quantization.placement._parts import Parts

# The axes of rows, columns, and those inside a block, to the order of the other side; it undoes itself.
_SWAPPED = (0, 1, 3, 2, 4, 5)


def depth_to_space(part: Parts, node: Node, x: Any) -> Any:
    """`(rows, columns, block**2 * channels)` to `(rows * block, columns * block, channels)`; None where unknown."""
    block, (_, *sizes) = node.op.block_size, x.shape
    if node.op.data_format != "channels_last" or None in sizes:
        return None
    rows, columns, channels = sizes
    apart = ops.reshape(x, (-1, rows, columns, block, block, channels // block**2))
    return ops.reshape(
        ops.transpose(apart, _SWAPPED), (-1, rows * block, columns * block, channels // block**2)
    )


def space_to_depth(part: Parts, node: Node, x: Any) -> Any:
    """`(rows, columns, channels)` to `(rows / block, columns / block, block**2 * channels)`; None where unknown."""
    block, (_, *sizes) = node.op.block_size, x.shape
    if node.op.data_format != "channels_last" or None in sizes:
        return None
    rows, columns, channels = sizes
    apart = ops.reshape(x, (-1, rows // block, block, columns // block, block, channels))
    return ops.reshape(
        ops.transpose(apart, _SWAPPED), (-1, rows // block, columns // block, block**2 * channels)
    )
