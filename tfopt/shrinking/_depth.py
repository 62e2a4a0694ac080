"""Residual blocks: what can be skipped so that a model becomes shallower."""

import dataclasses

from tfopt.graph import Expansion, Graph, Node, Tensor, kind, tensors_in


@dataclasses.dataclass(frozen=True, eq=False)
class ResidualBlock:
    """A branch that an addition adds to its own input: `x + f(x)`.

    Attributes:
        path: the path of the addition in the model.
        skip: x, which replaces the sum if the block is skipped.
        branch: paths of the operations of f, in call order.
    """

    path: str
    skip: Tensor
    branch: tuple[str, ...]


def residual_blocks(graph: Graph) -> tuple[ResidualBlock, ...]:
    """The blocks `x + f(x)` of a graph: without f it computes the same kind of thing (Veit et al. 2016,
    "Residual Networks Behave Like Ensembles of Relatively Shallow Networks", https://arxiv.org/abs/1605.06431).

    Only branches whose values are not read outside of the block are listed; nested blocks are listed too, inner ones
    first.

    Args:
        graph: what `tfopt.graph.capture` returned.

    Returns:
        The blocks in call order.

    >>> import keras
    >>> from tfopt.graph import capture
    >>> from tfopt.shrinking import residual_blocks
    >>> x = inputs = keras.Input((4,))
    >>> x = keras.layers.Add(name="sum")([x, keras.layers.Dense(4, name="f")(x)])
    >>> [(block.path, block.branch) for block in residual_blocks(capture(keras.Model(inputs, x)))]
    [('sum', ('f',))]
    """
    blocks = []
    for node in graph.nodes:
        if kind(node.op) != "Add" or len(node.inputs) != 2:
            continue
        for skip, end in (node.inputs, node.inputs[::-1]):
            branch = _branch(graph, node, skip, end)
            if branch and skip.shape == node.output.shape:
                blocks.append(ResidualBlock(node.path, skip, tuple(inner.path for inner in branch)))
                break
    return tuple(blocks)


def _branch(graph: Graph, join: Node, skip: Tensor, end: Tensor) -> list[Node]:
    """The nodes that compute `end` from `skip` and nothing else, if only `join` reads what they make."""
    found: dict[int, Node] = {}
    pending, reached = [end], False
    while pending:
        tensor = pending.pop()
        if tensor is skip:
            reached = True
            continue
        node = graph.producers.get(id(tensor))
        if node is None:
            return []
        if id(node) not in found:
            found[id(node)] = node
            pending.extend(node.inputs)
    inside = {*found, id(join)}
    made = [tensor for node in found.values() for tensor in tensors_in(node.outputs)]
    read_outside = any(
        id(tensor) in graph.output_ids
        or any(id(r) not in inside for r in graph.consumers.get(id(tensor), []))
        for tensor in made
    )
    return [] if read_outside or not reached else [node for node in graph.nodes if id(node) in found]


def skip_blocks(graph: Graph, blocks: tuple[ResidualBlock, ...]) -> Graph:
    """The graph without some of its residual blocks: their sum is replaced by their input.

    Args:
        graph: a graph.
        blocks: some of `residual_blocks(graph)`.

    Returns:
        A new graph, without the operations whose outputs are no longer read.
    """
    skipped = {block.path: block for block in blocks}

    def expand(node: Node) -> Expansion | None:
        return ([], skipped[node.path].skip) if node.path in skipped else None

    shorter = graph.map_nodes(expand)
    needed, nodes = set(shorter.output_ids), []
    for node in reversed(shorter.nodes):
        if any(id(tensor) in needed for tensor in tensors_in(node.outputs)):
            needed.update(map(id, node.inputs))
            nodes.append(node)
    return dataclasses.replace(shorter, nodes=tuple(reversed(nodes)))
