"""The analysis: finds the units of channels in a graph that can be removed, sorted into groups."""

from tfopt.channels._channels import MADE, Channels
from tfopt.channels._rules import CHANNEL_RULES, rule_of
from tfopt.channels._tracer import ChannelTracer, unknown
from tfopt.graph import Graph, LayerFilter, Node, kind, selects, tensors_in


def channel_groups(graph: Graph, where: LayerFilter = None) -> Channels:
    """Finds the channels of a graph that can be removed, and which of them are coupled.

    Each channel of each tensor gets a number; operations tie numbers (an addition), pass them on (a batch norm),
    rearrange them (a concatenation) or pin them (every operation without a row in the table). Numbers that are tied
    form one unit. This is the dependency graph of Fang et al. (2023), "DepGraph: Towards Any Structural Pruning",
    https://arxiv.org/abs/2301.12900, per channel instead of per layer, so splits, concatenations and reshapes need no
    special cases.

    Args:
        graph: what `tfopt.graph.capture` returned.
        where: which layers may lose channels that they make: None for every layer; a regular expression that is
            searched in the layer's path; or a function that takes a layer and returns a bool. Channels that are tied
            to those of a layer that is not selected stay.

    Returns:
        The units and groups. Model inputs and outputs are never among them.

    Raises:
        ValueError: `where` selects no layer that makes channels.

    >>> import keras
    >>> from tfopt.graph import capture
    >>> from tfopt.channels import channel_groups
    >>> x = inputs = keras.Input((8, 8, 3))
    >>> x = keras.layers.Conv2D(4, 3, padding="same", name="a")(x)
    >>> x = keras.layers.Add()([x, keras.layers.Conv2D(4, 3, padding="same", name="b")(x)])
    >>> x = keras.layers.Dense(2)(keras.layers.GlobalAveragePooling2D()(x))
    >>> [(group.makers, len(group.units)) for group in channel_groups(capture(keras.Model(inputs, x))).groups]
    [(('a', 'b'), 4)]
    """
    paths = {id(node.op): node.path for node in reversed(graph.nodes)}
    tracer = ChannelTracer(graph, paths)
    shared = _shared_weights(graph)
    for node in graph.nodes:
        row = rule_of(node)
        if row is None or id(node.op) in shared:
            unknown(tracer, node, _why(node, id(node.op) in shared))
        else:
            row.flow(tracer, node)
    _select(tracer, graph, where)
    for tensor in tensors_in(graph.outputs):
        tracer.pin_axes(tensor, "the model returns these channels")
    return tracer.finish()


def _why(node: Node, shared: bool) -> str:
    if shared:
        return f"{node.path} shares a weight with another layer"
    if node.opaque:
        return f"{node.path}, which reads these channels, could not be opened: {node.opaque}"
    if kind(node.op) in CHANNEL_RULES:
        return f"{node.path} has weights that a {kind(node.op)} does not have"
    return f"no rule for {kind(node.op)} ({node.path}), which reads these channels"


def _shared_weights(graph: Graph) -> set[int]:
    """`id(op)` of layers that hold a variable which another layer holds too."""
    owners: dict[int, set[int]] = {}
    for node in graph.nodes:
        for weight in getattr(node.op, "weights", ()):
            owners.setdefault(id(weight), set()).add(id(node.op))
    return {op for ops in owners.values() if len(ops) > 1 for op in ops}


def _select(tracer: ChannelTracer, graph: Graph, where: LayerFilter) -> None:
    if where is None:
        return
    slots = [slot for slot in tracer.slots.values() if slot.role == MADE]
    chosen = []
    for slot in slots:
        path = tracer.paths[id(slot.op)]
        if selects(where, slot.op, path):
            chosen.append(slot)
        else:
            tracer.pin(slot.units, "not selected by where=")
    if not chosen:
        names = ", ".join(dict.fromkeys(tracer.paths[id(slot.op)] for slot in slots))
        raise ValueError(
            f"The 'where' argument must match a layer of model {graph.name!r} that makes channels. Got {where!r}, "
            f"which matches none, instead. Those layers are: {names}."
        )
