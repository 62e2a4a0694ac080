"""Where the TFLite kernels quantize: one table with a row per operation, and the walk that applies it."""

import dataclasses
from collections.abc import Iterator

import keras

from tfopt.graph import Graph, Node, activation_name, folds_into, kind, tensors_in
from tfopt.quantization._sums import KERNELS

# How an operation's output comes to its grid.
OWN = "own"  # the kernel rounds its result to a grid of its own
SAME = "same"  # values move, or one of them is picked: the input's grid holds them exactly
ROUNDED = "rounded"  # the kernel averages codes, and rounds the mean to its input's grid
JOINED = "joined"  # all inputs and the output are on one grid

RELUS = ("relu", "relu6")
UNIT = (0.0, 255 / 256)


@dataclasses.dataclass(frozen=True)
class Row:
    """What a TFLite kernel does with its output.

    Attributes:
        output: OWN, SAME, ROUNDED or JOINED.
        fixed: the range that TFLite fixes for it, if it does.
        fuses: activations that the kernel applies before it rounds.
        weights: whether the kernel has weights, quantized per channel, into which a batch norm folds.
    """

    output: str = OWN
    fixed: tuple[float, float] | None = None
    fuses: tuple[str, ...] = ()
    weights: bool = False


_WEIGHTS = Row(fuses=RELUS, weights=True)
_SAME = Row(SAME)

# The kind of an operation (see `tfopt.graph.kind`) -> its row. What has no row is computed in float where TFLite
# has no int8 kernel for it, and its output is rounded like any other.
TABLE: dict[str, Row] = {
    "Dense": _WEIGHTS,
    "Conv1D": _WEIGHTS,
    "Conv2D": _WEIGHTS,
    "Conv2DTranspose": _WEIGHTS,
    "DepthwiseConv1D": _WEIGHTS,
    "DepthwiseConv2D": _WEIGHTS,
    # A batch norm that follows no convolution is exported as a 1x1 depthwise convolution.
    "BatchNormalization": Row(fuses=RELUS),
    "Add": Row(fuses=RELUS),
    "Subtract": Row(fuses=RELUS),
    "Divide": Row(fuses=RELUS),
    "TrueDivide": Row(fuses=RELUS),
    # One multiplication and addition per channel, exported as a 1x1 depthwise convolution too.
    "Rescaling": Row(fuses=RELUS),
    "Normalization": Row(fuses=RELUS),
    "Multiply": Row(fuses=RELUS),
    "Mean": Row(),
    "GlobalAveragePooling1D": Row(),
    "GlobalAveragePooling2D": Row(),
    "relu": Row(),
    "relu6": Row(),
    "leaky_relu": Row(),
    "softmax": Row(fixed=UNIT),
    "sigmoid": Row(fixed=UNIT),
    "tanh": Row(fixed=(-1.0, 127 / 128)),
    "AveragePooling1D": Row(ROUNDED),
    "AveragePooling2D": Row(ROUNDED),
    "Concatenate": Row(JOINED),
    "MaxPooling1D": _SAME,
    "MaxPooling2D": _SAME,
    "GlobalMaxPooling1D": _SAME,
    "GlobalMaxPooling2D": _SAME,
    "Reshape": _SAME,
    "Flatten": _SAME,
    "Squeeze": _SAME,
    "ExpandDims": _SAME,
    "Transpose": _SAME,
    "Permute": _SAME,
    "GetItem": _SAME,
    "ZeroPadding1D": _SAME,
    "ZeroPadding2D": _SAME,
    "Cropping1D": _SAME,
    "Cropping2D": _SAME,
    "Identity": _SAME,
    "linear": _SAME,
    "Dropout": _SAME,
    "SpatialDropout1D": _SAME,
    "SpatialDropout2D": _SAME,
    "GaussianNoise": _SAME,
    "ActivityRegularization": _SAME,
}


def row_of(node: Node) -> Row | None:
    """The table's row for a node, or None where there is none or the node could not be opened."""
    return None if node.opaque else TABLE.get(kind(node.op))


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


@dataclasses.dataclass(frozen=True)
class Placement:
    """Where activations are rounded.

    Attributes:
        grids: each grid with its sites.
        fused: path of each node that is computed inside another one's kernel -> that one's path.
        averaged: `id` of each site that holds means of codes, whose halves the kernel rounds away from code 0.
        feeds: the kernel that writes each site, by `id(site)`, where its rounding is known to the last bit.
    """

    grids: tuple[Grid, ...]
    fused: dict[str, str]
    averaged: frozenset[int]
    feeds: dict[int, Feed]


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


def place(graph: Graph) -> Placement:
    """Finds where the TFLite kernels round activations.

    Args:
        graph: a graph whose activations are split (`split_activations`).

    Returns:
        The grids and their sites, in graph order; time is linear in the number of nodes.
    """
    grids = _Grids()
    fused: dict[str, str] = {}
    absorbed: set[int] = set()
    averaged: set[int] = set()
    kernels: dict[int, tuple[Node, list[Node]]] = {}
    for tensor in tensors_in(graph.inputs):
        if _is_float(tensor):
            # Keras calls inputs without a name keras_tensor_12.
            grids.new(tensor, "input" if tensor.name.startswith("keras_tensor") else tensor.name)
    for node in graph.nodes:
        if id(node) in absorbed:
            continue
        row = row_of(node)
        if row is None or row.output == OWN:
            followers = list(_chain(graph, node, row))
            absorbed.update(map(id, followers))
            fused.update((follower.path, node.path) for follower in followers)
            end = followers[-1] if followers else node
            kernels.update((id(tensor), (node, followers)) for tensor in tensors_in(end.outputs))
            for tensor in filter(_is_float, tensors_in(end.outputs)):
                grids.new(tensor, end.op.name, row.fixed if row else None)
        else:
            _share(grids, node, row)
            if row.output == ROUNDED:
                averaged.update(map(id, tensors_in(node.outputs)))
    feeds = {key: feed for key, kernel in kernels.items() if (feed := _feed(grids, *kernel)) is not None}
    made = tuple(grid for grid in grids.made if id(grid) not in grids.joined)
    return Placement(made, fused, frozenset(averaged), feeds)


def _feed(grids: _Grids, node: Node, followers: list[Node]) -> Feed | None:
    """What is known of the kernel of `node`; None where that is nothing special."""
    row, sources = row_of(node), tuple(grids.of(tensor) for tensor in node.inputs)
    if row is None or not sources or None in sources:
        return None
    if row.weights or kind(node.op) == "BatchNormalization":
        norms = [one.op for one in (node, *followers) if kind(one.op) == "BatchNormalization"]
        return Feed("weights", sources, (), node.op if row.weights else None, norms[0] if norms else None)
    if kind(node.op) in KERNELS and len(sources) == 2:
        return Feed(kind(node.op), sources, tuple(node.inputs))
    return None


def _share(grids: _Grids, node: Node, row: Row) -> None:
    """Gives the outputs of a SAME, ROUNDED or JOINED node the grid of its inputs."""
    inputs = node.inputs if row.output == JOINED else node.inputs[:1]
    grid = grids.join(inputs)
    for tensor in filter(_is_float, tensors_in(node.outputs)):
        if grid is None:
            grids.new(tensor, node.op.name)
            continue
        grids.grids[id(tensor)] = grid
        if row.output == ROUNDED:
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


def _next(graph: Graph, node: Node) -> Node | None:
    return graph.only_consumer(node.output)


def _is_float(tensor: keras.KerasTensor) -> bool:
    return "float" in tensor.dtype
