"""The ranges that a quantization-aware model of tfmot has learned, for a model that `tfopt.quantize` returned."""

from collections.abc import Iterator, Mapping
from typing import Any

import keras

from tfopt.graph import Graph, Node, capture
from tfopt.legacy._from_keras2 import keras2_model
from tfopt.legacy._keras2 import is_a
from tfopt.quantization import FakeQuantize

Range = tuple[float, float]


def ranges_of(model: Any) -> dict[str, Range]:
    """The range of each layer's output that a quantization-aware model of tfmot has learned.

    Args:
        model: what `tfmot.quantization.keras.quantize_model` or `quantize_apply` returned, trained; or the path of
            one in a file of Keras 2.

    Returns:
        Layer name -> `(minimum, maximum)`; names are those of the layers in the model that `from_keras2` returns.
        Empty for a model that is not quantization-aware.

    Raises:
        TypeError: `model` is neither a Keras 2 model nor a path.

    Example:

    >>> from tfopt.legacy import ranges_of
    >>> ranges_of(0)
    Traceback (most recent call last):
    ...
    TypeError: The 'model' argument must be a Keras 2 (tf_keras) model or the path of one. Got int instead. ...
    """
    old = keras2_model(model)
    nodes = [node for depth in sorted(old._nodes_by_depth) for node in old._nodes_by_depth[depth]]
    found = {name: limits for node in reversed(nodes) for name, limits in _of_node(node)}
    return {
        name: (float(variables["min_var"]), float(variables["max_var"])) for name, variables in found.items()
    }


def _of_node(node: Any) -> Iterator[tuple[str, Any]]:
    """Names and variables of the ranges that one call of a layer uses."""
    layer = node.layer
    if is_a(layer, "QuantizeLayer") and layer.quantizer:
        before = next(iter(node.parent_nodes)).layer
        yield _name(getattr(before, "layer", before)), layer.quantizer_vars
    if not is_a(layer, "QuantizeWrapper"):
        return
    name = _name(layer.layer)
    for one in layer._quantize_activations:
        before, after = (getattr(one, f"_{when}_activation_vars", None) for when in ("pre", "post"))
        if before:
            yield name, before
        if after:
            yield (f"{name}_{one.activation.__name__}" if before else name), after
    if layer._output_quantizers:
        yield name, layer._output_quantizer_vars


def _name(layer: Any) -> str:
    return layer.name.replace("/", "_")


def set_ranges(model: keras.Model, ranges: Mapping[str, Range]) -> tuple[str, ...]:
    """Gives the quantizers of a model the ranges of the layers whose outputs they round.

    With it, and the weights that `from_keras2` copies, the quantized model continues where tfmot's training ended.
    Where several layers share a grid in TFLite (what a concatenation joins), and tfmot has a range only for their
    common output, that one is used.

    Args:
        model: what `tfopt.quantize` returned; changed in place.
        ranges: layer name -> `(minimum, maximum)`, from `ranges_of`.

    Returns:
        The names of the `FakeQuantize` layers that got a range; the others keep the calibrated one.

    Raises:
        ValueError: a name is not that of a layer.

    Example:

    >>> import keras, numpy as np, tfopt
    >>> from tfopt.legacy import set_ranges
    >>> model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(2, name="dense")])
    >>> q = tfopt.quantize(model, calibration=np.ones((8, 4)))
    >>> set_ranges(q, {"dense": (-3.0, 3.0)})
    ('dense_quantize',)
    >>> float(q.get_layer("dense_quantize").maximum[0])
    3.0
    """
    graph = capture(model)
    quantizers = {layer.name: layer for layer in model.layers if isinstance(layer, FakeQuantize)}
    own = {name: quantizers[f"{name}_quantize"] for name in ranges if f"{name}_quantize" in quantizers}
    names = {node.op.name: node for node in graph.nodes}
    unknown = [name for name in ranges if name not in own and name not in names]
    if unknown:
        raise ValueError(
            f"The 'ranges' argument must name layers of the model. Got {', '.join(unknown)}, which it does not have. "
            f"Layers with a quantizer are: {', '.join(name.removesuffix('_quantize') for name in quantizers)}."
        )
    chosen: dict[str, Range] = {layer.name: ranges[name] for name, layer in own.items()}
    for name in ranges.keys() - own.keys():
        for layer in _before(graph, names[name]):
            chosen.setdefault(layer.name, ranges[name])
    changed = [name for name in quantizers if name in chosen and quantizers[name].fixed_range is None]
    for name in changed:
        layer = quantizers[name]
        minimum, maximum = ([end] * layer.num_sites for end in chosen[name])
        layer.set_range(minimum, maximum)
    return tuple(changed)


def _before(graph: Graph, node: Node) -> Iterator[FakeQuantize]:
    """The last quantizers before a node."""
    pending = [node]
    while pending:
        for tensor in pending.pop().inputs:
            producer = graph.producers.get(id(tensor))
            if producer is not None and isinstance(producer.op, FakeQuantize):
                yield producer.op
            elif producer is not None:
                pending.append(producer)
