"""The cut: a graph and the units to keep become a smaller Keras model."""

import keras
import numpy as np

from tfopt.channels import ChannelRule, Channels, Leftovers, Sizes, leftovers, rule_of, with_bias
from tfopt.graph import Expansion, Node, Operation, build_model, clone_operation, tensors_in
from tfopt.shrinking._check_registered import check_registered, is_registered


def cut(channels: Channels, kept: np.ndarray, weights: str = "zeroed") -> keras.Model:
    """A new model without the units that are not kept; all other weights keep their values.

    Its outputs are, up to float rounding, those of the model in which the removed channels are zero where they are
    made. What they leave behind, such as sigmoid(0), is added to the biases of the layers that read them; layers
    without a bias get one where they need it.

    Args:
        channels: what `channel_groups` and `exactly_removable` found.
        kept: bool array with an entry per unit.
        weights: `"zeroed"`: the biases, gammas and betas of removed channels are zero too; `"as they are"`: they are
            not, and what they leave behind counts.

    Returns:
        A Functional model that shares no layer with the old one.

    Raises:
        ValueError: `kept` has another length, leaves a weight without any channel, or the result would not be exact.

    >>> import keras, numpy as np
    >>> from tfopt.graph import capture
    >>> from tfopt.channels import channel_groups
    >>> from tfopt.shrinking import cut
    >>> hidden, head = keras.layers.Dense(4), keras.layers.Dense(2)
    >>> channels = channel_groups(capture(keras.Sequential([keras.Input((3,)), hidden, head])))
    >>> small = cut(channels, np.array([True, False, False, True]))
    >>> [tuple(weight.shape) for weight in small.weights]
    [(3, 2), (2,), (2, 2), (2,)]
    """
    kept = np.asarray(kept, bool)
    sizes = Sizes(channels, kept)
    left = _left(channels, kept, weights)
    changed = _changed(channels, kept, sizes)
    first = {id(node.op): node for node in reversed(channels.graph.nodes)}
    made: list[tuple[Node, Operation]] = []

    def adjust(node: Node) -> Expansion | None:
        row = rule_of(node)
        if row is None or row.call is None or not _touched(node, sizes):
            return None
        new = row.call(node, sizes)
        return [new], new.outputs

    def replace(op: Operation, name: str) -> Operation:
        if id(op) not in changed and id(op) not in left.biases:
            return clone_operation(op, name)
        row = _row(first[id(op)])
        config = {**op.get_config(), **row.config(first[id(op)], sizes), "name": name}
        if id(op) in left.biases and all(weight.name != "bias" for weight in op.weights):
            config.update(with_bias(first[id(op)]))
        new = (row.layer or type(op)).from_config(config)
        made.append((first[id(op)], new))
        return new

    model = build_model(channels.graph.map_nodes(adjust), replace)
    for node, layer in made:
        layer.set_weights(_values(node, sizes, left))
        if is_registered(node.op):
            check_registered(node, layer, channels, kept)
    return model


def _left(channels: Channels, kept: np.ndarray, weights: str) -> Leftovers:
    """What the removed units leave behind, if they can be removed."""
    if kept.shape != (channels.count,):
        raise ValueError(
            f"The 'kept' argument must be a bool array of shape ({channels.count},), an entry per unit. "
            f"Got shape {kept.shape} instead."
        )
    left = leftovers(channels, ~kept, weights)
    if left.refused:
        raise ValueError(
            f"The 'kept' argument must keep channels whose removal is not exact: {next(iter(left.refused.values()))}. "
            "Got one that does not. Pass what exactly_removable found as 'channels'."
        )
    return left


def _values(node: Node, sizes: Sizes, left: Leftovers) -> list[np.ndarray]:
    """The values of the smaller layer's weights."""
    values = _row(node).values(node, sizes, [sizes.take(node.op, weight) for weight in node.op.weights])
    return (
        _with_bias(node, values, *left.biases[id(node.op)], sizes) if id(node.op) in left.biases else values
    )


def _row(node: Node) -> ChannelRule:
    row = rule_of(node)
    if row is None:
        raise ValueError(f"{node.path} has channels to remove, but no rule says how.")
    return row


def _with_bias(
    node: Node, values: list[np.ndarray], bias: np.ndarray, first: int, sizes: Sizes
) -> list[np.ndarray]:
    """The values of a layer's weights with `bias` added to its bias; if it has none, this is its bias."""
    for axis, size in enumerate(bias.shape):
        units = sizes.units(node.output, first + axis)
        if units is not None and size == len(units):
            bias = np.compress(sizes.mask(units), bias, axis)
    names = [weight.name for weight in node.op.weights]
    if "bias" not in names:
        return [*values, bias]
    place = names.index("bias")
    return [*values[:place], values[place] + bias, *values[place + 1 :]]


def _changed(channels: Channels, kept: np.ndarray, sizes: Sizes) -> set[int]:
    """`id(op)` of the layers that lose channels."""
    changed = set()
    for slot in channels.slots:
        left = int(sizes.mask(slot.units).sum())
        if left == 0:
            raise ValueError(
                f"The 'kept' argument must keep at least one channel of each layer. Got none for {slot.op.name!r}."
            )
        if left < len(slot.units):
            changed.add(id(slot.op))
    for node in channels.graph.nodes:
        # A layer may name a size, or count channels, without a weight that is cut.
        row = rule_of(node)
        if row is not None and isinstance(node.op, keras.layers.Layer) and _touched(node, sizes):
            old = node.op.get_config()
            if any(old.get(name) != value for name, value in row.config(node, sizes).items()):
                changed.add(id(node.op))
    return changed


def _touched(node: Node, sizes: Sizes) -> bool:
    tensors = (*node.inputs, *tensors_in(node.outputs))
    return any(sizes.shape(tensor) != tensor.shape for tensor in tensors)
