"""What is left of a supernet: widths, blocks and kernel sizes, and the ways to make it smaller."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import keras

from tfopt.budgets._kernel_sizes import kernel_parts
from tfopt.budgets._shapes import Move, Shape, coupled
from tfopt.channels import Channels
from tfopt.shrinking import residual_blocks


@dataclasses.dataclass(frozen=True)
class SubnetShape(Shape):
    """What is left of a supernet: parts by path, and all of what is not named.

    Attributes:
        blocks: 0.0 for the residual blocks that are left out, by the paths of their additions.
        kernels: parts of the kernel sizes of convolutions: 0.6 is 3 of 5.
    """

    blocks: Mapping[str, float] = dataclasses.field(default_factory=dict)
    kernels: Mapping[str, float] = dataclasses.field(default_factory=dict)

    def make(self, model: Any, x: Any = None) -> keras.Model:
        """The plain model of the shape.

        Args:
            model: the `Supernet` that it is cut out of.
            x: inputs to measure the statistics of batch norms again with.
        """
        return model.subnet(self, x)


def subnet_moves(
    channels: Channels, widths: Sequence[float], depth: bool, kernel_size: bool
) -> tuple[Move, ...]:
    """All that may become smaller in a supernet: widths, then blocks, then kernels.

    Args:
        channels: the analysis of its model.
        widths: parts of the channels.
        depth: whether residual blocks may be left out.
        kernel_size: whether kernels may become smaller.
    """
    parts = tuple(sorted({one for one in widths if one < 1}, reverse=True))
    found = [Move(", ".join(paths), paths, "channels", parts) for paths in coupled(channels) if parts]
    if depth:
        found += [Move(one.path, (one.path,), "blocks", (0.0,)) for one in residual_blocks(channels.graph)]
    if kernel_size:
        sizes = {node.path: kernel_parts(node.op) for node in channels.graph.nodes}
        found += [Move(path, (path,), "kernels", values) for path, values in sizes.items() if values]
    return tuple(found)
