"""What the converter makes of a node: asked by placement, simulation and conversion alike."""

from tfopt.graph import CHANNEL_AXES, Graph, Node, activation_name, affine_of, einsum_axes, folds_into, kind
from tfopt.kernels._operations import row_of


def is_depthwise(node: Node) -> bool:
    """Whether a node that multiplies and adds per channel is exported as one 1x1 depthwise convolution."""
    return affine_of(node) is not None and len(node.output.shape) <= 4


def is_dense(node: Node) -> bool:
    """Whether an `EinsumDense` is exported as one FULLY_CONNECTED: export must know the sizes that it reshapes to."""
    is_einsum = kind(node.op) == "EinsumDense" and not node.opaque
    return is_einsum and None not in node.inputs[0].shape[1:] and einsum_axes(node.op) is not None


def has_weights(node: Node) -> bool:
    """Whether the node is exported as one kernel with weights and a bias per output channel."""
    return kind(node.op) in CHANNEL_AXES or is_dense(node)


# They move pixels, or mix them, by an argument.
_RESIZES = ("UpSampling2D", "Resizing", "Resize")


def kernel_kind(node: Node) -> str:
    """The kind of kernel that a node without weights becomes: its own, unless an argument makes it another.

    A resize is "nearest" or "bilinear", padding with what is there is "mirror", and a softmax along another axis than
    the last a "transposed softmax".
    """
    name = kind(node.op)
    if name == "AddMask" and len(node.inputs) == 1:
        return "AddMask of a constant"
    if name == "Pad" and node.op.mode != "constant":
        return "mirror"
    if name in _RESIZES:
        return getattr(node.op, "interpolation", name)
    if name in ("softmax", "log_softmax") and softmax_axis(node) != len(node.output.shape) - 1:
        return f"transposed {name}"
    return name


def softmax_axis(node: Node) -> int | None:
    """The axis along which a softmax computes, counted from the first; None for several."""
    axis = getattr(node.op, "axis", -1)
    if isinstance(axis, (list, tuple)):  # as in Keras' attention layers
        axis = axis[0] if len(axis) == 1 else None
    return axis % len(node.output.shape) if isinstance(axis, int) else None


def folded_norm(graph: Graph, node: Node) -> Node | None:
    """The batch norm behind a node that export multiplies into its weights."""
    row = row_of(node)
    if row is None or not row.weights or activation_name(node.op) in row.fuses:
        return None
    follower = graph.only_consumer(node.output)
    return follower if follower is not None and folds_into(follower, node) else None


def fused_activation(graph: Graph, node: Node, behind: Node | None = None) -> Node | None:
    """The activation that the kernel of a node applies before it rounds.

    Args:
        graph: the graph.
        node: the node of the kernel.
        behind: the last node that the kernel computes, as `folded_norm` finds it; the node itself by default.
    """
    row = row_of(node)
    if row is None or not row.fuses or activation_name(node.op) in row.fuses:
        return None
    follower = graph.only_consumer((behind or node).output)
    return follower if follower is not None and kind(follower.op) in row.fuses else None


def fused_with(graph: Graph, node: Node) -> list[Node]:
    """The nodes after a node that its kernel computes too: a batch norm, then an activation."""
    norm = folded_norm(graph, node)
    activation = fused_activation(graph, node, norm)
    return [found for found in (norm, activation) if found is not None]
