"""What a graph costs: multiply-accumulates, parameters, and bytes of its int8 file, before or after a cut."""

import math
from collections.abc import Callable

import keras

from tfopt.channels import Channels, Sizes, channel_axis
from tfopt.graph import Graph, Node, Tensor, capture, einsum_letters, folds_into, kind, tensors_in

Shape = tuple[int | None, ...]
Shapes = Callable[[Tensor], Shape]


def known_shapes(graph: Graph, sizes: Sizes) -> Shapes:
    """Shapes of tensors. Dimensions that Keras leaves open are filled in where the inputs determine them."""
    found: dict[int, Shape] = {}

    def shape(tensor: Tensor) -> Shape:
        return found.get(id(tensor)) or sizes.shape(tensor)

    for node in graph.nodes:
        for out in keras.tree.flatten(node.outputs):
            here = sizes.shape(out)
            if None in here[1:] and node.inputs:
                found[id(out)] = _filled(node, here, shape(node.inputs[0]))
    return shape


def _filled(node: Node, here: Shape, source: Shape) -> Shape:
    if kind(node.op) == "EinsumDense":
        left, _, output = einsum_letters(node.op, len(source))
        known = dict(zip(left, source, strict=True))
        return tuple(
            known.get(letter) if size is None else size for letter, size in zip(output, here, strict=True)
        )
    if len(here) != len(source):
        return here
    return tuple(s if size is None else size for size, s in zip(here, source, strict=True))


def _spatial(node: Node, shape: Shape, tensor: Tensor) -> list[int | None]:
    axis = channel_axis(node.op, tensor)
    return [size for i, size in enumerate(shape) if i not in (0, axis)]


def _kernels(node: Node, sizes: Sizes) -> int:
    return sum(
        math.prod(sizes.weight(node.op, w))
        for w in node.op.weights
        if w.name.endswith("kernel") and len(w.shape) > 1
    )


def _over_outputs(node: Node, shape: Shapes, sizes: Sizes) -> list[int | None]:
    return [_kernels(node, sizes), *_spatial(node, shape(node.output), node.output)]


def _over_inputs(node: Node, shape: Shapes, sizes: Sizes) -> list[int | None]:
    return [_kernels(node, sizes), *_spatial(node, shape(node.inputs[0]), node.inputs[0])]


def _over_steps(node: Node, shape: Shapes, sizes: Sizes) -> list[int | None]:
    return [_kernels(node, sizes), shape(node.inputs[0])[1]]


def _einsum_dense(node: Node, shape: Shapes, sizes: Sizes) -> list[int | None]:
    _, kernel, output = einsum_letters(node.op, len(node.inputs[0].shape))
    rows = [s for letter, s in zip(output, shape(node.output), strict=True) if letter not in kernel]
    return [_kernels(node, sizes), *rows[1:]]


def _matmul(node: Node, shape: Shapes, sizes: Sizes) -> list[int | None]:
    return [*shape(node.output)[1:], shape(node.inputs[0])[-1]]


def _einsum(node: Node, shape: Shapes, sizes: Sizes) -> list[int | None]:
    inputs = node.op.subscripts.replace(" ", "").split("->")[0].split(",")
    letters = {
        letter: size
        for name, tensor in zip(inputs, node.inputs, strict=True)
        for letter, size in zip(name, shape(tensor), strict=True)
    }
    return [size for letter, size in letters.items() if letter != inputs[0][0]]


def _attention(node: Node, shape: Shapes, sizes: Sizes) -> list[int | None]:
    (_, length, heads, size), (_, keys, *_), (*_, values) = (shape(t) for t in node.inputs[:3])
    return [length, keys, heads, (size or 0) + (values or 0)]


# The kind of an operation -> factors whose product is its multiply-accumulates for one sample. Operations without a
# row (norms, activations, pooling, additions) count as zero, as is usual.
MACS: dict[str, Callable[[Node, Shapes, Sizes], list[int | None]]] = {
    "Dense": lambda node, shape, sizes: [_kernels(node, sizes), *shape(node.output)[1:-1]],
    **{
        f"{name}{n}D": _over_outputs for n in (1, 2, 3) for name in ("Conv", "DepthwiseConv", "SeparableConv")
    },
    **{f"Conv{n}DTranspose": _over_inputs for n in (1, 2, 3)},
    "EinsumDense": _einsum_dense,
    **dict.fromkeys(("SimpleRNN", "LSTM", "GRU", "Bidirectional"), _over_steps),
    "Matmul": _matmul,
    "Einsum": _einsum,
    "DotProductAttention": _attention,
}


def macs_of(graph: Graph, sizes: Sizes) -> int:
    """Multiply-accumulates for one sample, with the shapes that `sizes` gives."""
    shape = known_shapes(graph, sizes)
    total = 0
    for node in graph.nodes:
        factors = MACS[kind(node.op)](node, shape, sizes) if kind(node.op) in MACS else [0]
        if None in factors:
            raise ValueError(
                f"The multiply-accumulates of {node.path!r} ({kind(node.op)}) depend on a size that is open: its "
                f"outputs have shape {tensors_in(node.outputs)[0].shape}. Build the model with fixed input sizes to "
                "count them."
            )
        total += math.prod(factor or 0 for factor in factors)
    return total


def params_of(graph: Graph, sizes: Sizes) -> int:
    """The number of parameters, each counted once, with the shapes that `sizes` gives."""
    counts = {
        id(weight): math.prod(sizes.weight(op, weight))
        for op in {id(node.op): node.op for node in graph.nodes}.values()
        for weight in getattr(op, "weights", ())
    }
    return sum(counts.values())


def count_macs(model: keras.Model) -> int:
    """The multiply-accumulates (MACs) of one forward pass of one sample.

    Convolutions, dense layers, attention and matrix products are counted; norms, activations, pooling and additions
    count as zero, as is usual in tables of networks. One MAC is two floating-point operations (FLOPs). A shared layer
    counts once per call.

    Args:
        model: a built Keras model; nested and subclassed ones are opened.

    Returns:
        An integer, for a batch of one.

    Raises:
        ValueError: the model is not built, or an input size other than the batch is open.

    >>> import keras
    >>> from tfopt.shrinking import count_macs
    >>> layers = [keras.layers.Conv2D(8, 3, padding="same"), keras.layers.Flatten(), keras.layers.Dense(10)]
    >>> count_macs(keras.Sequential([keras.Input((4, 4, 3)), *layers]))  # 4*4 * 3*3*3*8 + 4*4*8 * 10
    4736
    """
    return macs_of(capture(model), Sizes())


# Bytes in an int8 file besides the kernels. A channel of a layer with a kernel has an int32 bias, and a float32
# scale and an int64 zero point for both kernel and bias; an operation has its record, tensors, names and padding.
CHANNEL_BYTES = 4 + 2 * (4 + 8)
OPERATION_BYTES = 400
_INT8 = ("Dense", "Conv1D", "Conv2D", "DepthwiseConv2D", "SeparableConv2D", "Conv2DTranspose")


def bytes_of(graph: Graph, sizes: Sizes) -> int:
    """An estimate of the bytes of the model's int8 .tflite file, with the shapes that `sizes` gives."""
    total, seen = 0, set()
    for node in graph.nodes:
        before = graph.producers.get(id(node.inputs[0])) if node.inputs else None
        if folds_into(node, before):
            continue
        total += OPERATION_BYTES
        if id(node.op) in seen or not isinstance(node.op, keras.layers.Layer):
            continue
        seen.add(id(node.op))
        total += _weight_bytes(node, sizes)
    return total


def estimate_bytes(model: keras.Model) -> int:
    """What the model's int8 .tflite file is estimated to take, by its shapes alone; `shrink(bytes=)` counts these.

    Args:
        model: a built Keras model; nested and subclassed ones are opened.

    >>> import keras
    >>> from tfopt.shrinking import estimate_bytes
    >>> one, two = (keras.Sequential([keras.Input((64,)), keras.layers.Dense(units)]) for units in (10, 20))
    >>> estimate_bytes(two) - estimate_bytes(one) >= 640
    True
    """
    return bytes_of(capture(model), Sizes())


def _weight_bytes(node: Node, sizes: Sizes) -> int:
    name = kind(node.op)
    last = sizes.shape(tensors_in(node.outputs)[0])[-1] if node.op.weights else 0
    if name == "BatchNormalization":
        return (last or 0) * (1 + CHANNEL_BYTES)  # a 1x1 depthwise convolution
    if name in _INT8:
        return _kernels(node, sizes) + (last or 0) * CHANNEL_BYTES
    return sum(4 * math.prod(sizes.weight(node.op, weight)) for weight in node.op.weights)


COSTS: dict[str, Callable[[Graph, Sizes], int]] = {"macs": macs_of, "params": params_of, "bytes": bytes_of}


def cost(channels: Channels, budget: str) -> Callable[..., int]:
    """`kept -> cost` of the model that `cut(channels, kept)` would return, without building it.

    Args:
        channels: what `channel_groups` found.
        budget: `"macs"`, `"params"` or `"bytes"`.
    """
    return lambda kept: COSTS[budget](channels.graph, Sizes(channels, kept))
