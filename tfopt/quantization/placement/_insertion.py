"""Where the new layers go in the graph: quantizers behind their sites, borders around what is left float."""

import dataclasses
from collections import ChainMap
from typing import Any

import keras

from tfopt.graph import Graph, Node, substitute, tensors_in
from tfopt.kernels import FloatFence, stays_float
from tfopt.quantization._config import QuantConfig
from tfopt.quantization.placement._float_regions import FloatRegions
from tfopt.quantization.placement._place import Placement
from tfopt.quantization.simulation import FakeQuantize, StepCounter


def step_counter(config: QuantConfig) -> StepCounter | None:
    """What counts training steps, where a setting depends on them."""
    delay, freeze = config.delay, (config.ranges.freeze_step, config.freeze_batch_norm_step)
    return StepCounter(delay, *freeze, name="step_counter") if delay or freeze != (None, None) else None


def insert(
    graph: Graph, placement: Placement, layers: list[FakeQuantize], counter: StepCounter | None
) -> Graph:
    """The graph with a fake quantizer behind each site; all readers of a site read it from there.

    Args:
        graph: the graph to quantize.
        placement: its grids and sites.
        layers: the quantizer of each grid.
        counter: the layer that counts training steps, or None.

    Returns:
        A graph of the old nodes and the new layers.
    """
    added = _behind_sites(graph, placement, layers, counter)
    values = {key: nodes[-1].output for key, nodes in added.items()}
    for chain in added.values():
        chain[:] = [dataclasses.replace(node, kwargs=substitute(node.kwargs, values)) for node in chain]
    nodes = [node for tensor in tensors_in(graph.inputs) for node in added.get(id(tensor), ())]
    regions = FloatRegions(graph, values)
    in_float = ChainMap(regions.values, values)
    for node in graph.nodes:
        nodes.extend(regions.before(node))
        nodes.append(node.reading(in_float if stays_float(node) else values))
        for tensor in tensors_in(node.outputs):
            if id(tensor) in added:
                nodes.extend(regions.behind(node, added[id(tensor)]))
    outputs = keras.tree.map_structure(lambda tensor: values.get(id(tensor), tensor), graph.outputs)
    return dataclasses.replace(graph, nodes=tuple(nodes), outputs=outputs)


def _behind_sites(
    graph: Graph, placement: Placement, layers: list[FakeQuantize], counter: StepCounter | None
) -> dict[int, list[Node]]:
    """The new nodes behind each site, by `id(site)`, each reading the one before."""
    added: dict[int, list[Node]] = {}

    def call(layer: keras.layers.Layer, site: keras.KerasTensor, /, **kwargs: Any) -> None:
        before = added.setdefault(id(site), [])
        tensor = before[-1].output if before else site
        before.append(Node(layer, (tensor,), kwargs, keras.KerasTensor(site.shape, site.dtype), layer.name))

    inputs = tensors_in(graph.inputs)
    if counter is not None:
        call(counter, inputs[0])
    input_ids = set(map(id, inputs))
    for grid, layer in zip(placement.grids, layers, strict=True):
        for index, site in enumerate(grid.sites):
            if id(site) in placement.fenced:
                call(FloatFence(name=f"{layer.name}_fence"), site)
            ties = "up" if id(site) in input_ids else placement.ties.get(id(site), "even")
            kernel = placement.kernels.get(id(site))
            kwargs = {"site": index, "ties": ties, "operands": kernel.operands if kernel else ()}
            usual = {"site": 0, "ties": "even", "operands": ()}
            call(layer, site, **{name: one for name, one in kwargs.items() if one != usual[name]})
    return added
