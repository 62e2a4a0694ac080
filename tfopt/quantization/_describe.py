"""What the report says of each operation, and why."""

import dataclasses
from collections.abc import Iterator, Mapping

import keras
import numpy as np

from tfopt.graph import Graph, Node, activation_name, flatten_layers, kind, own_weights, tensors_in
from tfopt.kernels import OWN, registered_class, row_of, stays_float
from tfopt.quantization._report import LayerReport
from tfopt.quantization.placement._place import Placement
from tfopt.quantization.simulation._fake_quantize import FakeQuantize
from tfopt.quantization.simulation._grid_settings import GridSettings


def describe(
    graph: Graph,
    placement: Placement,
    layers: list[FakeQuantize],
    made: dict[int, keras.Operation],
    squares: np.ndarray,
) -> tuple[LayerReport, ...]:
    """The row of each operation, with the names of the new layers that hold its weights and its output's grid.

    `squares` holds the mean square of what calibration saw at each site, in the order of the grids.
    """
    writers = {id(tensor): node.path for node in graph.nodes for tensor in tensors_in(node.outputs)}
    quantizers: dict[str, tuple[str, int]] = {}
    mean_squares: dict[str, float] = {}
    seen = iter(squares)
    for grid, layer in zip(placement.grids, layers, strict=True):
        for index, site in enumerate(grid.sites):
            path = writers.get(id(site), "")
            path = placement.fused.get(path, path)
            quantizers[path], mean_squares[path] = (layer.name, index), float(next(seen))
    fenced = set(placement.fenced.values())
    rows = []
    for node in graph.nodes:
        row, layer = _row(node, placement, fenced), made[id(node.op)]
        weights = layer.name if isinstance(layer, GridSettings) else ""
        quantizer, site = quantizers.get(node.path, ("", 0))
        square = mean_squares.get(node.path)
        rows.append(
            dataclasses.replace(row, weights=weights, quantizer=quantizer, site=site, mean_square=square)
        )
    return tuple(rows)


def describe_constants(model: keras.Model, graph: Graph) -> Iterator[LayerReport]:
    """Layers with weights that the graph does not read: what it holds instead are constants."""
    layers = [node.op for node in graph.nodes if isinstance(node.op, keras.layers.Layer)]
    read = {id(weight) for layer in layers for weight in layer.weights}
    for layer in flatten_layers(model):
        own = own_weights(layer)
        if own and not read & set(map(id, own)):
            stock = getattr(keras.layers, type(layer).__name__, None) is type(layer)
            names = ", ".join(weight.name for weight in own)
            note = f"opened: {names} became constants, and train only as factors of a product"
            if stock:
                note = "called on constants: its outputs are constants now, and do not train"
            yield LayerReport(layer.name, kind(layer), "constant", note)


def describe_left_out(graph: Graph, parted: Mapping[str, tuple[str, str]]) -> Iterator[LayerReport]:
    """Operations of the model that its quantized copy has no need of: `part_joins` says why."""
    there = {node.path for node in graph.nodes}
    for path, (name, _) in parted.items():
        if path not in there:
            yield LayerReport(path, name, "left out")


def describe_node(node: Node, placement: Placement) -> LayerReport:
    """The row of an operation, from the table and its placement alone."""
    return _row(node, placement, set(placement.fenced.values()))


def _row(node: Node, placement: Placement, fenced: set[str]) -> LayerReport:
    row = row_of(node)
    if node.path in placement.fused:
        return LayerReport(node.path, kind(node.op), "fused", f"into {placement.fused[node.path]}")
    if stays_float(node):
        return LayerReport(node.path, kind(node.op), "float", _reason(node))
    if row is None:
        return LayerReport(node.path, kind(node.op), "integer", "no float numbers")
    if node.path in fenced:
        return LayerReport(node.path, kind(node.op), "float", "as overrides ask")
    if row.output != OWN:
        return LayerReport(node.path, kind(node.op), "same grid", "as its input")
    fused, registered = activation_name(node.op), registered_class(node.op)
    note = f"with {fused}" if fused in row.fuses else ""
    if registered is not None:
        names = " and ".join(registered.weight_names)  # type: ignore[attr-defined]
        # Which of its operations the converter has integer kernels for is known when a file is written.
        note = f"its {names}; the rest of its call may stay float in a file, as export says"
    return LayerReport(node.path, kind(node.op), "int8", note)


def _reason(node: Node) -> str:
    """Why an operation is computed in float."""
    if node.opaque:
        return node.opaque
    layer = node.op
    if (
        isinstance(layer, keras.layers.Layer)
        and layer.weights
        and getattr(keras.layers, kind(layer), None) is None
    ):
        return "weights of its own: see tfopt.register_quantized"
    return "LiteRT has no int8 kernel for it"
