"""Where the TFLite kernels quantize: the walk over a graph that applies the table."""

import dataclasses
from collections.abc import Container, Iterator
from typing import Any

import keras

from tfopt.graph import (
    CHANNEL_AXES,
    Graph,
    Node,
    activation_name,
    affine_of,
    folds_into,
    kind,
    tensors_in,
)
from tfopt.quantization._sums import AFFINE, KERNELS
from tfopt.quantization._table import JOINED, OWN, SAME, Row, is_island, row_of


def split_activations(graph: Graph) -> tuple[Graph, set[int]]:
    """Gives a node of its own to each activation that is not fused: `Dense(softmax)` becomes Dense, softmax.

    Args:
        graph: a captured graph.

    Returns:
        The new graph, and `id(op)` of the layers that must lose their `activation` argument.
    """
    linear: set[int] = set()

    def split(node: Node) -> tuple[list[Node], keras.KerasTensor] | None:
        row, name = row_of(node), activation_name(node.op)
        if row is None or not row.weights or name in (None, "linear", *row.fuses):
            return None
        linear.add(id(node.op))
        middle = keras.KerasTensor(node.output.shape, node.output.dtype)
        layer = keras.layers.Activation(name, name=f"{node.op.name}_{name}")
        activation = Node(layer, (middle,), {}, node.outputs, f"{node.path}_{name}")
        return [dataclasses.replace(node, outputs=middle), activation], node.outputs

    return graph.map_nodes(split), linear


@dataclasses.dataclass(eq=False)
class Grid:
    """One grid of codes, and the tensors that are rounded to it: its sites."""

    name: str
    fixed: tuple[float, float] | None = None
    sites: list[keras.KerasTensor] = dataclasses.field(default_factory=list)


@dataclasses.dataclass(frozen=True)
class Feed:
    """What rounds a site: see `tfopt.quantization._sums.Kernel`; `operands` are the tensors that the kernel reads."""

    kernel: str
    sources: tuple[Grid, ...]
    operands: tuple[keras.KerasTensor, ...] = ()
    weights: keras.layers.Layer | None = None
    norm: keras.layers.Layer | None = None
    activation: str = ""


@dataclasses.dataclass(frozen=True)
class Placement:
    """Where activations are rounded.

    Attributes:
        grids: each grid with its sites.
        fused: path of each node that is computed inside another one's kernel -> that one's path.
        halves: where the kernel that writes a site rounds halves, by `id(site)`; "even" for all others.
        feeds: the kernel that writes each site, by `id(site)`, where its rounding is known to the last bit.
        fenced: `id` of each site that a layer writes which is left float although it has an integer kernel -> the
            layer's path.
    """

    grids: tuple[Grid, ...]
    fused: dict[str, str]
    halves: dict[int, str]
    feeds: dict[int, Feed]
    fenced: dict[int, str]


class _Grids:
    """The grid of each tensor; joining two grids makes them one (union-find)."""

    def __init__(self) -> None:
        self.grids: dict[int, Grid] = {}
        self.joined: dict[int, Grid] = {}
        self.made: list[Grid] = []

    def new(self, tensor: keras.KerasTensor, name: str, fixed: tuple[float, float] | None = None) -> None:
        grid = Grid(name, fixed, [tensor])
        self.made.append(grid)
        self.grids[id(tensor)] = grid

    def of(self, tensor: keras.KerasTensor) -> Grid | None:
        grid = self.grids.get(id(tensor))
        while grid is not None and id(grid) in self.joined:
            grid = self.joined[id(grid)]
        return grid

    def join(self, tensors: list[keras.KerasTensor]) -> Grid | None:
        """One grid for all tensors; None where TFLite fixes the grid of one of them."""
        grids = list({id(grid): grid for grid in map(self.of, tensors) if grid is not None}.values())
        if len(grids) > 1 and any(grid.fixed for grid in grids):
            return None
        for other in grids[1:]:
            grids[0].sites.extend(other.sites)
            self.joined[id(other)] = grids[0]
        return grids[0] if grids else None


def place(graph: Graph, floats: Container[int] = ()) -> Placement:
    """Finds where the TFLite kernels round activations.

    Args:
        graph: a graph whose activations are split (`split_activations`).
        floats: `id(op)` of the layers to leave float; what their kernels fuse stays float with them.

    Returns:
        The grids and their sites, in graph order; time is linear in the number of nodes.
    """
    grids = _Grids()
    fused: dict[str, str] = {}
    absorbed: set[int] = set()
    halves: dict[int, str] = {}
    fenced: dict[int, str] = {}
    kernels: dict[int, tuple[Node, list[Node]]] = {}
    for tensor in tensors_in(graph.inputs):
        if _is_float(tensor):
            # Keras calls inputs without a name keras_tensor_12.
            grids.new(tensor, "input" if tensor.name.startswith("keras_tensor") else tensor.name)
    for node in graph.nodes:
        if id(node) in absorbed:
            continue
        row = row_of(node)
        if is_island(node) and _inside_an_island(graph, node):
            continue
        if row is None or row.output == OWN:
            followers = list(_chain(graph, node, row))
            absorbed.update(map(id, followers))
            fused.update((follower.path, node.path) for follower in followers)
            end = followers[-1] if followers else node
            written = [id(tensor) for tensor in tensors_in(end.outputs)]
            if id(node.op) in floats:
                fenced.update((key, node.path) for key in written)
            else:
                kernels.update((key, (node, followers)) for key in written)
            for tensor in filter(_is_float, tensors_in(end.outputs)):
                grids.new(tensor, end.op.name, row.fixed if row else None)
        else:
            _share(grids, node, row)
        if row is not None and row.halves is not None:
            halves.update((id(tensor), row.halves) for tensor in tensors_in(node.outputs))
    feeds = {key: feed for key, kernel in kernels.items() if (feed := _feed(grids, *kernel)) is not None}
    made = tuple(grid for grid in grids.made if id(grid) not in grids.joined)
    return Placement(made, fused, halves, feeds, fenced)


def _feed(grids: _Grids, node: Node, followers: list[Node]) -> Feed | None:
    """What is known of the kernel of `node`; None where that is nothing special."""
    row = row_of(node)
    sources = tuple(grid for grid in map(grids.of, node.inputs) if grid is not None)
    if row is None or not sources or len(sources) < len(node.inputs):
        return None
    if kind(node.op) in CHANNEL_AXES or _is_dense(node) or _is_affine_layer(node):
        norms = [one.op for one in (node, *followers) if kind(one.op) in AFFINE]
        return Feed("weights", sources, (), node.op if row.weights else None, norms[0] if norms else None)
    reads, _ = KERNELS.get(kind(node.op), (0, None))
    if len(sources) == reads:
        activation = next((kind(one.op) for one in followers), "")
        return Feed(kind(node.op), sources, tuple(node.inputs), activation=activation)
    return None


def _is_dense(node: Node) -> bool:
    """Whether export makes one `Dense` of an `EinsumDense` that has a row."""
    return kind(node.op) == "EinsumDense" and None not in node.inputs[0].shape[1:]


def _is_affine_layer(node: Node) -> bool:
    """Whether export makes a depthwise convolution of the node, and the simulation can tell its numbers."""
    return kind(node.op) in AFFINE and len(node.output.shape) <= 4 and affine_of(node) is not None


def _share(grids: _Grids, node: Node, row: Row) -> None:
    """Gives the outputs of a SAME or JOINED node the grid of its inputs."""
    inputs = node.inputs if row.output == JOINED else node.inputs[:1]
    grid = grids.join(inputs)
    # A constant beside them, as in maximum(x, 0.1), is rounded to their grid too, and so is what comes of it.
    rounds = row.halves is not None or (row.output == JOINED and has_constants(node))
    for tensor in filter(_is_float, tensors_in(node.outputs)):
        if grid is None:
            grids.new(tensor, node.op.name)
            continue
        grids.grids[id(tensor)] = grid
        if rounds:
            grid.sites.append(tensor)


def _chain(graph: Graph, node: Node, row: Row | None) -> Iterator[Node]:
    """The nodes after `node` that its kernel computes too: a batch norm, then an activation."""
    if row is None or activation_name(node.op) in row.fuses:
        return
    follower = _next(graph, node)
    if row.weights and follower is not None and folds_into(follower, node):
        yield follower
        follower = _next(graph, follower)
    if follower is not None and kind(follower.op) in row.fuses:
        yield follower


def _inside_an_island(graph: Graph, node: Node) -> bool:
    """Whether only islands read what the node writes: nothing is rounded between two of them."""
    outputs = tensors_in(node.outputs)
    readers = [reader for tensor in outputs for reader in graph.consumers[id(tensor)]]
    return bool(readers) and all(map(is_island, readers)) and not graph.output_ids & set(map(id, outputs))


def has_constants(node: Node) -> bool:
    """Whether a node computes with numbers beside its tensors: Python floats, arrays or tensors."""
    leaves = keras.tree.flatten((node.args, node.kwargs))
    return any(
        isinstance(leaf, float) or (hasattr(leaf, "shape") and not _is_symbolic(leaf)) for leaf in leaves
    )


def _is_symbolic(leaf: Any) -> bool:
    return isinstance(leaf, keras.KerasTensor)


def _next(graph: Graph, node: Node) -> Node | None:
    return graph.only_consumer(node.output)


# Operations whose outputs are never below 0.
_NON_NEGATIVE = ("relu", "relu6", "sigmoid", "softmax")


def is_non_negative(graph: Graph, tensor: keras.KerasTensor) -> bool:
    """Whether a tensor is known to be 0 or more, from the operation that makes it."""
    node = graph.producers.get(id(tensor))
    while node is not None and not node.opaque:
        if kind(node.op) in _NON_NEGATIVE or activation_name(node.op) in _NON_NEGATIVE:
            return True
        row = row_of(node)
        if row is None or row.output != SAME or len(node.inputs) != 1:
            return False
        node = graph.producers.get(id(node.inputs[0]))
    return False


def _is_float(tensor: keras.KerasTensor) -> bool:
    return "float" in tensor.dtype
