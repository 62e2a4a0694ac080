"""Whether a smaller custom layer computes what its registration promises."""

import keras
import numpy as np

from tfopt.channels import CHANNEL_RULE, MADE, Channels, Sizes
from tfopt.graph import Node, Operation, Tensor

# Of the largest output: well above what float32 sums differ by, well below what a wrong axis does.
_TOLERANCE = 1e-3


def is_registered(op: Operation) -> bool:
    """Whether the layer's class was given to `tfopt.register_channels`."""
    return CHANNEL_RULE in vars(type(op))


def check_registered(node: Node, small: Operation, channels: Channels, kept: np.ndarray) -> None:
    """Compares a layer in which the removed channels are zero with the smaller one, on random numbers.

    Raises:
        ValueError: they differ.
    """
    sizes = Sizes(channels, kept)
    x = np.random.default_rng(0).normal(size=[2 if n is None else n for n in node.inputs[0].shape])
    x = x.astype(node.inputs[0].dtype)
    units = sizes.units(node.inputs[0], x.ndim - 1)
    if units is not None:
        x[..., ~sizes.mask(units)] = 0
    values: dict[int, tuple[keras.Variable, np.ndarray]] = {}
    for slot in channels.slots:
        if slot.op is node.op and (slot.role == MADE or slot.follows):
            _, value = values.get(id(slot.variable), (slot.variable, np.array(slot.variable)))
            np.moveaxis(value, slot.axis, 0)[~sizes.mask(slot.units)] = 0
            values[id(slot.variable)] = slot.variable, value
    with keras.StatelessScope(state_mapping=list(values.values())):
        whole = _taken(node.op(x), node.output, sizes)
    part = np.asarray(keras.ops.convert_to_numpy(small(_taken(x, node.inputs[0], sizes))))
    if whole.shape != part.shape or np.abs(whole - part).max() > _TOLERANCE * np.abs(whole).max():
        raise ValueError(
            f"The arguments of register_channels for {type(node.op).__name__} must say what its weights are indexed "
            f"by. Got a smaller {node.op.name!r} whose outputs are not those of the whole layer with the removed "
            "channels zero. Check each axis in 'weights' and each argument in 'config'; a layer whose channels depend "
            "on each other, as in a norm, cannot be registered."
        )


def _taken(values: np.ndarray, tensor: Tensor, sizes: Sizes) -> np.ndarray:
    values = np.asarray(keras.ops.convert_to_numpy(values))
    units = sizes.units(tensor, values.ndim - 1)
    return values if units is None else values[..., sizes.mask(units)]
