"""Finding a layer by its name or path, in any Keras model, and where a quantized model rounds its output."""

import dataclasses
import difflib
from typing import Any

import keras

from tfopt.graph import Graph, Node, activation_name, capture, sublayers
from tfopt.kernels import IntegerActivations


@dataclasses.dataclass(frozen=True, eq=False)
class Tap:
    """One output to record: that of the `call`-th call of `layer`; None where there is only one call."""

    layer: keras.layers.Layer
    call: int | None = None


def layer_paths(model: keras.layers.Layer) -> dict[str, keras.layers.Layer]:
    """Every layer below a model by its path, such as `"backbone/block_1/conv"`; parents before children."""
    paths: dict[str, keras.layers.Layer] = {}

    def walk(layer: keras.layers.Layer, prefix: str, above: set[int]) -> None:
        for child in sublayers(layer):
            path = prefix + child.name
            if id(child) not in above and path not in paths:
                paths[path] = child
                walk(child, path + "/", above | {id(child)})

    walk(model, "", {id(model)})
    return paths


def find_tap(model: keras.Model, name: str, role: str) -> Tap:
    """The output for a layer's name, path or `"name:call"`.

    Args:
        model: the student, or a teacher.
        name: a layer's name if only one layer has it, or its path; `":0"` at the end chooses the first of several
            calls.
        role: `"teacher"` or `"student"`, for the error message.

    Raises:
        ValueError: no layer or several have that name; the message lists the nearest names.
    """
    base, _, number = name.partition(":")
    paths = layer_paths(model)
    found = _find(paths, base)
    if not found and _is_quantized(model):
        # `quantize` flattens a model: the layer at backbone/conv is called conv, or backbone_conv if conv is taken.
        found = _find(paths, base.replace("/", "_")) or _find(paths, base.rsplit("/", 1)[-1])
    if len(found) != 1 or (number and not number.isdigit()):
        raise ValueError(_not_found(model.name, name, role, paths, [path for path, _ in found.values()]))
    ((_, layer),) = found.values()
    return _where_rounded(model, layer) or Tap(layer, int(number) if number else None)


def _find(paths: dict[str, keras.layers.Layer], name: str) -> dict[int, tuple[str, keras.layers.Layer]]:
    if name in paths:
        return {id(paths[name]): (name, paths[name])}
    return {id(layer): (path, layer) for path, layer in paths.items() if path.endswith("/" + name)}


def _is_quantized(model: keras.layers.Layer) -> bool:
    return any(isinstance(layer, IntegerActivations) for layer in sublayers(model))


def _not_found(model: str, name: str, role: str, paths: dict[str, Any], found: list[str]) -> str:
    if len(found) > 1:
        return (
            f"The {role} {model!r} has {len(found)} layers called {name!r}: {', '.join(found[:8])}. "
            "Pass the path of the one you mean."
        )
    last = {path.rsplit("/", 1)[-1]: path for path in reversed(paths)}
    near = [
        *difflib.get_close_matches(name, paths, 5, 0.5),
        *(last[one] for one in difflib.get_close_matches(name.rsplit("/", 1)[-1], last, 5, 0.5)),
    ] or list(paths)[:8]
    return (
        f"The 'layers' of a loss name {name!r}, but the {role} {model!r} has no layer of that name or path. "
        f"The nearest names are: {', '.join(dict.fromkeys(near))}."
    )


def _where_rounded(model: keras.Model, layer: keras.layers.Layer) -> Tap | None:
    """The fake quantizer that rounds what the original layer returned, in a model that `quantize` made.

    `quantize` keeps the layers' names. It splits an activation off into a layer of its own where the kernel does not
    fuse it, and the original layer's output is then the output of that one.
    """
    if not _is_quantized(model):
        return None
    graph = capture(model)
    nodes = [node for node in graph.nodes if node.op is layer]
    if len(nodes) != 1 or isinstance(layer, IntegerActivations):
        return None
    rounded = _rounded(graph, nodes[0])
    activation = _reader(graph, rounded, lambda after: _is_split_off(layer, after))
    rounded = rounded if activation is None else _rounded(graph, activation)
    calls = [other for other in graph.nodes if other.op is rounded.op]
    return Tap(rounded.op, next(i for i, other in enumerate(calls) if other is rounded))


def _rounded(graph: Graph, node: Node) -> Node:
    return _reader(graph, node, lambda after: isinstance(after.op, IntegerActivations)) or node


def _reader(graph: Graph, node: Node, wanted: Any) -> Node | None:
    return next((after for after in graph.consumers.get(id(node.output), []) if wanted(after)), None)


def _is_split_off(layer: keras.layers.Layer, after: Node) -> bool:
    name = activation_name(after.op)
    return isinstance(after.op, keras.layers.Activation) and after.op.name == f"{layer.name}_{name}"
