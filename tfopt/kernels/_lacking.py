"""What a target lacks, of the kernels that the table of operations has rows for."""

import dataclasses

from tfopt.graph import Expansion, Graph, Node, kind
from tfopt.kernels._exported_as import kernel_kind
from tfopt.kernels._operations import row_of
from tfopt.kernels._targets import Target
from tfopt.kernels._widths import Widths

# Kind of operation, or of its kernel -> the TFLite operator that it becomes, of those that some target lacks.
BECOMES = {
    "Argmax": "ARG_MAX",
    "Conv3D": "CONV_3D",
    "Conv3DTranspose": "CONV_3D_TRANSPOSE",
    "bilinear": "RESIZE_BILINEAR",
    "DepthToSpace": "DEPTH_TO_SPACE",
    "Divide": "DIV",
    "Embedding": "GATHER",
    "Exp": "EXP",
    "exponential": "EXP",
    "gelu": "GELU",
    "GlobalMaxPooling1D": "REDUCE_MAX",
    "GlobalMaxPooling2D": "REDUCE_MAX",
    "GlobalMaxPooling3D": "REDUCE_MAX",
    "Log": "LOG",
    "log_softmax": "LOG_SOFTMAX",
    "LSTM": "UNIDIRECTIONAL_SEQUENCE_LSTM",
    "Max": "REDUCE_MAX",
    "Min": "REDUCE_MIN",
    "mirror": "MIRROR_PAD",
    "Prod": "REDUCE_PROD",
    "Reciprocal": "DIV",
    "SpaceToDepth": "SPACE_TO_DEPTH",
    "Take": "GATHER",
    "TopK": "TOPK_V2",
    "TrueDivide": "DIV",
}


def refused(node: Node, target: Target) -> str:
    """The operator of a node that a target cannot load at all; "" if there is none."""
    operator = BECOMES.get(kind(node.op), "")
    return operator if operator in target.absent else ""


def float_where_lacking(graph: Graph, target: Target, num_bits: int) -> Graph:
    """The graph with each operation marked opaque for which a target has no kernel of so many bits: it stays float.

    Args:
        graph: a captured graph.
        target: the target.
        num_bits: bits of the activations.

    Returns:
        A graph that computes the same.
    """

    widths = Widths(graph, num_bits)

    def mark(node: Node) -> Expansion | None:
        row = row_of(node)
        if row is None:
            return None
        num_bits = widths.read_by(node)
        reason = ""
        if num_bits > 8 and not row.int16(node):
            reason = "LiteRT has no 16-bit kernel for it"
        operator = BECOMES.get(kind(node.op)) or BECOMES.get(kernel_kind(node), "")
        if operator in target.float_only(num_bits):
            reason = f"{target.title} has no {num_bits}-bit kernel for {operator}"
        return ([dataclasses.replace(node, opaque=reason)], node.outputs) if reason else None

    return graph.map_nodes(mark)
