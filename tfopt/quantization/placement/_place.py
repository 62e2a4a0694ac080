"""Where the kernels round activations: the walk over a graph that applies the table of operations."""

import dataclasses
from collections import defaultdict
from collections.abc import Container
from typing import Any

import keras

from tfopt.graph import Graph, Node, activation_name, kind, product_equation, tensors_in
from tfopt.kernels import (
    AFFINE,
    FAMILIES,
    JOINED,
    OWN,
    Family,
    FixedRange,
    KernelRule,
    OperationRow,
    Widths,
    fused_with,
    has_weights,
    is_depthwise,
    kernel_kind,
    row_of,
    stays_float,
)
from tfopt.quantization.placement._parts import shared_grid
from tfopt.quantization.placement._shared_grids import SharedGrid, SharedGrids


@dataclasses.dataclass(frozen=True)
class KernelPlan:
    """The kernel that writes a site, in terms of the graph: see `tfopt.kernels.Kernel`.

    Attributes:
        kind: the kind of its operation; "weights" for all that has weights.
        sources: the grids of its inputs.
        operands: the tensors that the kernel reads, where its rounding depends on more than their sum.
        weights: the layer with the weights, if any.
        norm: the batch norm that is folded into it, or the affine layer that stands alone, if any.
        activation: what a kernel that is given its operands applies before it rounds.
        equation: of `keras.ops.einsum`, where the kernel multiplies matrices by one.
    """

    kind: str
    sources: tuple[SharedGrid, ...]
    operands: tuple[keras.KerasTensor, ...] = ()
    weights: keras.layers.Layer | None = None
    norm: keras.layers.Layer | None = None
    activation: str = ""
    equation: str = ""


@dataclasses.dataclass(frozen=True)
class Placement:
    """Where activations are rounded.

    Attributes:
        grids: the grids, in graph order.
        fused: path of a node -> path of the node whose kernel computes it too.
        ties: how the kernel that writes a site breaks ties, by `id(site)`; "even" for all others.
        kernels: the kernel that writes a site, by `id(site)`, where it rounds in a way of its own.
        fenced: the path of the node left float that writes a site, by `id(site)`.
    """

    grids: tuple[SharedGrid, ...]
    fused: dict[str, str]
    ties: dict[int, str]
    kernels: dict[int, KernelPlan]
    fenced: dict[int, str]


def place(
    graph: Graph,
    floats: Container[int] = (),
    family: Family = FAMILIES["xnnpack"],
    num_bits: int = 8,
    apart: Container[int] = (),
) -> Placement:
    """Finds where the kernels round activations.

    Args:
        graph: a graph whose activations are split (`split_activations`).
        floats: `id(op)` of the layers to leave float; what their kernels fuse stays float with them.
        family: the family of kernels that the file will run on.
        num_bits: bits of the activations.
        apart: `id(op)` of the layers behind which a batch norm has a kernel of its own.

    Returns:
        The grids and their sites, in graph order; time is linear in the number of nodes.
    """
    walk = _Walk(graph, floats, family, num_bits, apart)
    for tensor in filter(is_rounded, tensors_in(graph.inputs)):
        # Keras calls inputs without a name keras_tensor_12.
        walk.grids.new(tensor, "input" if tensor.name.startswith("keras_tensor") else tensor.name, num_bits)
    for node in graph.nodes:
        walk.visit(node)
    for node, _ in walk.written.values():
        if _multiplies(node):
            walk.read[id(node.op)].add(id(walk.grids.of(node.inputs[0])))
    plans = {key: walk.plan(*written) for key, written in walk.written.items()}
    kernels = {key: plan for key, plan in plans.items() if plan is not None}
    return Placement(walk.grids.final(), walk.fused, walk.ties, kernels, walk.fenced)


class _Walk:
    """What the walk has found so far; its attributes are those of `Placement`."""

    def __init__(
        self, graph: Graph, floats: Container[int], family: Family, num_bits: int, apart: Container[int]
    ) -> None:
        self.graph = graph
        self.floats = floats
        self.apart = apart
        self.family = family
        self.widths = Widths(graph, num_bits)
        self.grids = SharedGrids()
        self.fused: dict[str, str] = {}
        self.ties: dict[int, str] = {}
        self.fenced: dict[int, str] = {}
        # id of a tensor -> the node whose kernel writes it, and the nodes that the kernel computes too.
        self.written: dict[int, tuple[Node, list[Node]]] = {}
        self.done: set[int] = set()
        # id of an operation with weights -> id of each grid that it is called on.
        self.read: defaultdict[int, set[int]] = defaultdict(set)

    def visit(self, node: Node) -> None:
        """Gives the outputs of a node, or of what its kernel ends with, their grid."""
        if id(node) in self.done or (stays_float(node) and _inside_a_float_region(self.graph, node)):
            return
        row = row_of(node)
        if row is None or row.output == OWN:
            self._give_own_grid(node, row)
        else:
            self._share_grid(node, row)
        if row is not None and row.ties is not None:
            self.ties.update((id(tensor), row.ties) for tensor in tensors_in(node.outputs))

    def _give_own_grid(self, node: Node, row: OperationRow | None) -> None:
        followers = fused_with(self.graph, node)
        if id(node.op) in self.apart and followers and kind(followers[0].op) == "BatchNormalization":
            followers = []
        self.done.update(map(id, followers))
        self.fused.update((follower.path, node.path) for follower in followers)
        end = followers[-1] if followers else node
        written = [id(tensor) for tensor in tensors_in(end.outputs)]
        if row is None or id(node.op) in self.floats:
            self.ties.update((key, self.family.quantize_ties) for key in written)
        if id(node.op) in self.floats:
            self.fenced.update((key, node.path) for key in written)
        else:
            self.written.update((key, (node, followers)) for key in written)
        for tensor in filter(is_rounded, tensors_in(end.outputs)):
            bits = self.widths.of(tensor)
            self.grids.new(tensor, end.op.name, bits, _fixed_range(row, bits), shared_grid(end.op))

    def _rule(self, node: Node) -> KernelRule | None:
        return self.family.rule(kernel_kind(node), self.widths.read_by(node))

    def _share_grid(self, node: Node, row: OperationRow) -> None:
        """Gives the outputs of a SAME or JOINED node the grid of its inputs."""
        inputs = node.inputs if row.output == JOINED else node.inputs[:1]
        grid = self.grids.join(inputs)
        if grid is not None and isinstance(node.op, FixedRange):
            grid.fixed = node.op.minimum, node.op.maximum
        # A constant beside them, as in maximum(x, 0.1), is rounded to their grid too, and so is what comes of it.
        with_constants = row.output == JOINED and has_constants(node)
        rounds = row.ties is not None or with_constants or self._rule(node) is not None
        for tensor in filter(is_rounded, tensors_in(node.outputs)):
            if grid is None:
                self.grids.new(tensor, node.op.name, self.widths.of(tensor))
            else:
                self.grids.put(tensor, grid, is_site=rounds)
            if self._rule(node) is not None:
                self.written[id(tensor)] = (node, [])

    def plan(self, node: Node, followers: list[Node]) -> KernelPlan | None:
        """What is known of the kernel of `node`; None where that is nothing special."""
        row = row_of(node)
        reads = list(filter(is_rounded, node.inputs))
        sources = tuple(grid for grid in map(self.grids.of, reads) if grid is not None)
        if row is None or not sources or len(sources) < len(reads):
            return None
        if _multiplies(node):
            norms = [one.op for one in (node, *followers) if kind(one.op) in AFFINE]
            norm = norms[0] if norms else None
            layer = node.op if row.weights else None
            # A layer that is called on several grids does not know on which, and computes in float: its sums are
            # found again from what it reads, and not from its outputs.
            if self.widths.read_by(node) == 8 and len(self.read[id(node.op)]) == 1:
                return KernelPlan("weights", sources, (), layer, norm)
            own = activation_name(node.op)
            activation = own if own in row.fuses else _fused(followers)
            return KernelPlan("weights", sources, tuple(node.inputs), layer, norm, activation)
        if row.recurrent:
            return KernelPlan(kind(node.op), sources, (), node.op)
        rule = self._rule(node)
        if rule is not None and len(sources) == rule.reads:
            slopes, activation = node.op if kind(node.op) == "PReLU" else None, _fused(followers)
            settings = {"activation": activation, "equation": product_equation(node)}
            return KernelPlan(kernel_kind(node), sources, tuple(reads), slopes, **settings)
        return None


def _multiplies(node: Node) -> bool:
    """Whether a kernel sums up products with weights."""
    return has_weights(node) or (kind(node.op) in AFFINE and is_depthwise(node))


def _fused(followers: list[Node]) -> str:
    """The kind of the activation among what is fused into a kernel; empty if there is none."""
    return next((kind(one.op) for one in followers if kind(one.op) not in AFFINE), "")


# TFLite's 16-bit softmax, sigmoid and tanh write steps of 1/32768.
_FIXED_16_BITS = (-1.0, 32767 / 32768)


def _fixed_range(row: OperationRow | None, num_bits: int) -> tuple[float, float] | None:
    """The range that TFLite fixes for codes of so many bits, if it does."""
    if row is None or row.fixed is None:
        return None
    return row.fixed if num_bits == 8 else _FIXED_16_BITS


def _inside_a_float_region(graph: Graph, node: Node) -> bool:
    """Whether only what stays float reads what the node writes: nothing is rounded between two of them."""
    outputs = tensors_in(node.outputs)
    readers = [reader for tensor in outputs for reader in graph.consumers[id(tensor)]]
    return bool(readers) and all(map(stays_float, readers)) and not graph.output_ids & set(map(id, outputs))


def has_constants(node: Node) -> bool:
    """Whether a node computes with numbers beside its tensors: Python floats, arrays or tensors."""
    leaves = keras.tree.flatten((node.args, node.kwargs))
    return any(
        isinstance(leaf, float) or (hasattr(leaf, "shape") and not _is_symbolic(leaf)) for leaf in leaves
    )


def _is_symbolic(leaf: Any) -> bool:
    return isinstance(leaf, keras.KerasTensor)


def is_rounded(tensor: keras.KerasTensor) -> bool:
    """Whether a tensor holds real numbers, which get a grid."""
    return "float" in tensor.dtype
